#include "operation.h"

#include <sys/random.h>

#include <algorithm>
#include <cstring>

#include "cryptoki.h"
#include "mechanism.h"

namespace keyplane {
namespace {

// Below the 65,536 messages after which NSS refuses a message operation that makes its own IVs.
constexpr std::uint32_t kMaxMessages = 65'000;

Answer Failed(Function function, CK_RV ckr, bool may_be_done) {
  return {.ckr = ckr, .function = function, .next = Judge(ckr), .may_be_done = may_be_done};
}

// Tells whether a length that came with CKR_OK can be true.
bool IsPlausible(const Job& job, CK_ULONG len, CK_ULONG capacity) {
  const Record& record = job.record;
  if (len > capacity) return false;
  const CK_ULONG modulus_len = job.key->modulus_len;
  switch (record.mechanism) {
    case CKM_AES_GCM:
    case kCloudHsmAesGcm:
      return record.op == kEncrypt ? len == CK_ULONG{record.input_len} + record.tag_len
                                   : len == CK_ULONG{record.input_len} - record.tag_len;
    case CKM_AES_ECB:
    case CKM_AES_CBC:
      return len == record.input_len;
    case CKM_AES_CBC_PAD:
      return record.op == kEncrypt ? len == (record.input_len / 16 + 1) * CK_ULONG{16}
                                   : len < record.input_len && record.input_len - len <= 16;
    case CKM_ECDSA:
    case CKM_ECDSA_SHA1:
    case CKM_ECDSA_SHA256:
    case CKM_ECDSA_SHA384:
    case CKM_ECDSA_SHA512:
      return len != 0 && len % 2 == 0;
    case CKM_SHA_1_HMAC:
      return len == 20;
    case CKM_SHA256_HMAC:
      return len == 32;
    case CKM_SHA384_HMAC:
      return len == 48;
    case CKM_SHA512_HMAC:
      return len == 64;
    default:
      break;
  }
  // RSA: a decryption may be of any length, an empty one too; the rest is as long as the modulus.
  if (record.op == kDecrypt) return modulus_len == 0 || len <= modulus_len;
  return modulus_len == 0 ? len != 0 : len == modulus_len;
}

class Runner {
 public:
  Runner(Tools& tools, Session& session, Job& job, Arena& arena)
      : tools_(tools),
        functions_(*tools.module.functions()),
        session_(session),
        job_(job),
        record_(job.record),
        arena_(arena),
        handle_(job.key == nullptr ? 0 : job.key->handle.load()) {}

  Answer Run() {
    if (record_.op == kRandom) return Random();
    if (IsGcm(record_) && (record_.iv_mode == kMessage || record_.iv_mode == kMessageHostIv)) {
      return Message();
    }
    EndMessages();
    return record_.op == kVerify ? Verify() : Produce();
  }

 private:
  using Init = CK_RV (*)(CK_SESSION_HANDLE, CK_MECHANISM*, CK_OBJECT_HANDLE);
  using Final = CK_RV (*)(CK_SESSION_HANDLE, CK_BYTE*, CK_ULONG, CK_BYTE*, CK_ULONG*);

  CK_BYTE* input() { return At(arena_, record_.input_offset, record_.input_len); }
  CK_BYTE* output() { return At(arena_, record_.output_offset, record_.output_capacity); }
  CK_BYTE* iv() { return arena_.bytes() + record_.iv_offset; }

  // The IV is zeros before the token is asked, in every mode: a module that ignores the mode uses
  // what it was given, under which each handle and each process would begin again.
  bool TokenMakesIv() const {
    return IsGcm(record_) && record_.op == kEncrypt && record_.iv_mode != kHostIv &&
           record_.iv_mode != kMessageHostIv;
  }
  bool IsNewIv() {
    const bool made = std::any_of(iv(), iv() + record_.iv_len, [](CK_BYTE b) { return b != 0; });
    return made && job_.key->use->ivs.Add(iv(), record_.iv_len);
  }

  bool Abandoned() const { return job_.state.load() != JobState::kRunning; }

  Answer Random() {
    const CK_RV ckr =
        functions_.C_GenerateRandom(session_.handle, output(), record_.output_capacity);
    if (ckr != CKR_OK) return Failed(Function::kGenerateRandom, ckr, false);
    return {.function = Function::kGenerateRandom, .output_len = record_.output_capacity};
  }

  // Starts an operation; a context-specific login belongs to it (PKCS #11 2.40, 5.6, C_Login).
  Answer Start(Function function, Init init) {
    CK_MECHANISM mechanism = MakeMechanism(record_, arena_, tools_.short_gcm, parameters_);
    if (TokenMakesIv()) std::memset(iv(), 0, record_.iv_len);
    CK_RV ckr = init(session_.handle, &mechanism, handle_);
    if (ckr == CKR_MECHANISM_PARAM_INVALID && IsGcm(record_) && !tools_.short_gcm) {
      mechanism = MakeMechanism(record_, arena_, true, parameters_);
      ckr = init(session_.handle, &mechanism, handle_);
      if (ckr == CKR_OK) tools_.short_gcm = true;
    }
    if (ckr != CKR_OK) return Failed(function, ckr, false);
    if (Abandoned()) return {.next = Next::kAbandon};
    if (!job_.key->always_authenticate) return {};
    return LogInForOne();
  }

  Answer LogInForOne() {
    const std::shared_ptr<Pin> pin = tools_.ask_pin();
    if (Abandoned()) return {.next = Next::kAbandon};
    CK_RV ckr = CKR_USER_NOT_LOGGED_IN;
    if (pin != nullptr && !pin->refused) {
      ckr = functions_.C_Login(session_.handle, CKU_CONTEXT_SPECIFIC,
                               pin->none ? nullptr : pin->bytes.data(), pin->bytes.size());
    }
    // Modules that ignore CKA_ALWAYS_AUTHENTICATE refuse the login.
    if (ckr == CKR_OK || ckr == CKR_USER_ALREADY_LOGGED_IN || ckr == CKR_USER_TYPE_INVALID) {
      return {};
    }
    // The operation is still set up; a second try could lock the token.
    session_.spoilt = true;
    return {.ckr = ckr, .function = Function::kLogin};
  }

  Answer Verify() {
    Answer answer = Start(Function::kVerifyInit, functions_.C_VerifyInit);
    if (answer.ckr != CKR_OK || answer.next != Next::kSettle) return answer;
    const CK_RV ckr =
        functions_.C_Verify(session_.handle, input(), record_.input_len,
                            At(arena_, record_.aux_offset, record_.aux_len), record_.aux_len);
    if (ckr != CKR_OK) return Failed(Function::kVerify, ckr, true);
    return {.function = Function::kVerify};
  }

  // Encrypts, decrypts or signs.
  Answer Produce() {
    struct Names {
      Function init_name;
      Init init;
      Function final_name;
      Final final;
    };
    const Names names =
        record_.op == kEncrypt ? Names{Function::kEncryptInit, functions_.C_EncryptInit,
                                       Function::kEncrypt, functions_.C_Encrypt}
        : record_.op == kDecrypt
            ? Names{Function::kDecryptInit, functions_.C_DecryptInit, Function::kDecrypt,
                    functions_.C_Decrypt}
            : Names{Function::kSignInit, functions_.C_SignInit, Function::kSign, functions_.C_Sign};
    Answer answer = Start(names.init_name, names.init);
    if (answer.ckr != CKR_OK || answer.next != Next::kSettle) return answer;
    if (IsGcm(record_) && record_.iv_mode == kTokenPrefix)
      return Prefixed(names.final_name, names.final);
    CK_ULONG len = record_.output_capacity;
    const CK_RV ckr = names.final(session_.handle, input(), record_.input_len, output(), &len);
    if (ckr != CKR_OK) return Failed(names.final_name, ckr, true);
    return Produced(names.final_name, len, record_.output_capacity);
  }

  Answer Produced(Function function, CK_ULONG len, CK_ULONG capacity) {
    if (!IsPlausible(job_, len, capacity)) {
      return {.function = function,
              .reason = Reason::kBadAnswer,
              .next = Next::kReplace,
              .may_be_done = true};
    }
    Answer answer{.function = function, .output_len = static_cast<std::uint32_t>(len)};
    if (TokenMakesIv() && !IsNewIv()) answer.reason = Reason::kDuplicateIv;
    return answer;
  }

  // The token puts the IV in front of what it encrypts and wants it there to decrypt.
  Answer Prefixed(Function function, Final final) {
    const std::uint32_t iv_len = record_.iv_len;
    const bool encrypts = record_.op == kEncrypt;
    tools_.scratch =
        SecretBytes(std::size_t{iv_len} + (encrypts ? record_.output_capacity : record_.input_len));
    CK_BYTE* scratch = tools_.scratch.data();
    if (!encrypts) {
      std::memcpy(scratch, iv(), iv_len);
      std::memcpy(scratch + iv_len, input(), record_.input_len);
    }
    CK_ULONG len = encrypts ? tools_.scratch.size() : record_.output_capacity;
    const CK_RV ckr = encrypts
                          ? final(session_.handle, input(), record_.input_len, scratch, &len)
                          : final(session_.handle, scratch, tools_.scratch.size(), output(), &len);
    if (ckr != CKR_OK) return Failed(function, ckr, true);
    if (!encrypts) return Produced(function, len, record_.output_capacity);
    if (len < iv_len || len > tools_.scratch.size()) {
      return {.function = function,
              .reason = Reason::kBadAnswer,
              .next = Next::kReplace,
              .may_be_done = true};
    }
    std::memcpy(iv(), scratch, iv_len);
    std::memcpy(output(), scratch + iv_len, len - iv_len);
    return Produced(function, len - iv_len, record_.output_capacity);
  }

  // One message of an operation that stays set up for the next one (PKCS #11 3.0, 5.9 and 5.13).
  Answer Message() {
    const FunctionList3* functions = tools_.module.functions3();
    const bool encrypts = record_.op == kEncrypt;
    const Function init_name =
        encrypts ? Function::kMessageEncryptInit : Function::kMessageDecryptInit;
    const Function name = encrypts ? Function::kEncryptMessage : Function::kDecryptMessage;
    if (functions == nullptr) {
      return {.ckr = CKR_FUNCTION_NOT_SUPPORTED, .function = init_name};
    }
    if (session_.message_key != job_.key || session_.message_ref != job_.key->ref ||
        session_.message_op != record_.op || session_.num_messages >= kMaxMessages) {
      EndMessages();
      CK_MECHANISM mechanism{record_.mechanism, nullptr, 0};
      const MessageInit init =
          encrypts ? functions->C_MessageEncryptInit : functions->C_MessageDecryptInit;
      const CK_RV ckr = init(session_.handle, &mechanism, handle_);
      if (ckr != CKR_OK) return Failed(init_name, ckr, false);
      session_.message_key = job_.key;
      session_.message_ref = job_.key->ref;
      session_.message_op = record_.op;
      session_.num_messages = 0;
      if (Abandoned()) return {.next = Next::kAbandon};
    }
    ++session_.num_messages;
    if (TokenMakesIv()) std::memset(iv(), 0, record_.iv_len);
    GcmMessageParameters parameters{};
    parameters.iv = iv();
    parameters.iv_len = record_.iv_len;
    parameters.iv_generator =
        encrypts && record_.iv_mode == kMessage ? kGenerateRandom : kNoGenerate;
    parameters.tag_bits = CK_ULONG{record_.tag_len} * 8;
    const std::uint32_t text_len =
        encrypts ? record_.input_len : record_.input_len - record_.tag_len;
    parameters.tag = (encrypts ? output() : input()) + text_len;
    CK_ULONG len = encrypts ? text_len : record_.output_capacity;
    const MessageCrypt crypt = encrypts ? functions->C_EncryptMessage : functions->C_DecryptMessage;
    CK_BYTE* aad = record_.aux_len == 0 ? nullptr : arena_.bytes() + record_.aux_offset;
    const CK_RV ckr = crypt(session_.handle, &parameters, sizeof parameters, aad, record_.aux_len,
                            input(), text_len, output(), &len);
    if (ckr != CKR_OK) {
      // What the standard leaves open: set it up again for the next one.
      EndMessages();
      return Failed(name, ckr, true);
    }
    if (len != text_len) {
      return {.function = name,
              .reason = Reason::kBadAnswer,
              .next = Next::kReplace,
              .may_be_done = true};
    }
    return Produced(name, encrypts ? len + record_.tag_len : len, record_.output_capacity);
  }

  void EndMessages() {
    if (session_.message_key == nullptr) return;
    const FunctionList3* functions = tools_.module.functions3();
    const MessageFinal final = session_.message_op == kEncrypt ? functions->C_MessageEncryptFinal
                                                               : functions->C_MessageDecryptFinal;
    if (final(session_.handle) != CKR_OK) session_.spoilt = true;
    session_.message_key = nullptr;
  }

  Tools& tools_;
  const CK_FUNCTION_LIST& functions_;
  Session& session_;
  Job& job_;
  const Record& record_;
  Arena& arena_;
  const CK_OBJECT_HANDLE handle_;
  Parameters parameters_{};
};

}  // namespace

Next Judge(CK_RV ckr) {
  switch (ckr) {
    case CKR_OK:
      return Next::kSettle;
    case CKR_SESSION_HANDLE_INVALID:
    case CKR_SESSION_CLOSED:
    case CKR_KEY_HANDLE_INVALID:
    case CKR_OBJECT_HANDLE_INVALID:
    case CKR_USER_NOT_LOGGED_IN:
    case CKR_CRYPTOKI_NOT_INITIALIZED:
    case CKR_DEVICE_REMOVED:
    case CKR_TOKEN_NOT_PRESENT:
    case CKR_SLOT_ID_INVALID:
      return Next::kRecover;
    // Errors that say something about the data, the key or the mechanism. The standard ends the
    // operation with them. GENERAL_ERROR and FUNCTION_FAILED are what some modules answer to a
    // wrong tag or to too many calls; if the session should be bad, the next use shows it.
    case CKR_GENERAL_ERROR:
    case CKR_FUNCTION_FAILED:
    case CKR_FUNCTION_NOT_SUPPORTED:
    case CKR_FUNCTION_REJECTED:
    case CKR_DATA_INVALID:
    case CKR_DATA_LEN_RANGE:
    case CKR_ENCRYPTED_DATA_INVALID:
    case CKR_ENCRYPTED_DATA_LEN_RANGE:
    case 0x42:  // CKR_AEAD_DECRYPT_FAILED (3.0)
    case CKR_SIGNATURE_INVALID:
    case CKR_SIGNATURE_LEN_RANGE:
    case CKR_KEY_SIZE_RANGE:
    case CKR_KEY_TYPE_INCONSISTENT:
    case CKR_KEY_FUNCTION_NOT_PERMITTED:
    case CKR_MECHANISM_INVALID:
    case CKR_MECHANISM_PARAM_INVALID:
    case CKR_RANDOM_NO_RNG:
      return Next::kSettle;
    default:
      return Next::kReplace;
  }
}

Answer RunJob(Tools& tools, Session& session, Job& job, Arena& arena) {
  return Runner(tools, session, job, arena).Run();
}

}  // namespace keyplane
