// What a plain C program would do, for the benches and the tests: loops over the function table of
// a module that the pool has initialised and logged in, one session a thread, and a C_Finalize
// under it.

#include <dlfcn.h>
#include <napi.h>
#include <pkcs11/pkcs11.h>
#include <time.h>

#include <atomic>
#include <cstdint>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include "../../native/cryptoki.h"

namespace {

CK_FUNCTION_LIST* Load(const std::string& path, bool newest) {
  // The pool has it open, so this is the same library; it stays open.
  void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) return nullptr;
  CK_FUNCTION_LIST* functions = nullptr;
  const auto get = reinterpret_cast<CK_C_GetFunctionList>(dlsym(library, "C_GetFunctionList"));
  if (get == nullptr || get(&functions) != CKR_OK) return nullptr;
  using GetInterface = CK_RV (*)(const char*, CK_VERSION*, keyplane::Interface**, CK_FLAGS);
  const auto get_interface = reinterpret_cast<GetInterface>(dlsym(library, "C_GetInterface"));
  keyplane::Interface* found = nullptr;
  CK_VERSION version{3, 0};
  if (newest && get_interface != nullptr &&
      get_interface("PKCS 11", &version, &found, 0) == CKR_OK) {
    functions = found->functions;
  }
  return functions;
}

struct Request {
  std::string library;
  double slot_id = 0;
  std::vector<std::uint8_t> key_id;
  std::string operation;
  std::uint32_t text_len = 0;
  std::uint32_t num_threads = 1;
  std::uint32_t milliseconds = 0;
  bool copies = false;
};

std::uint64_t NowNs() {
  timespec time{};
  clock_gettime(CLOCK_MONOTONIC, &time);
  return static_cast<std::uint64_t>(time.tv_sec) * 1'000'000'000 +
         static_cast<std::uint64_t>(time.tv_nsec);
}

// One thread's session and key.
class Caller {
 public:
  Caller(CK_FUNCTION_LIST* functions, const Request& request)
      : functions_(*functions), request_(request), text_(request.text_len + 64), out_(8192) {
    std::memset(iv_, 1, sizeof iv_);
  }
  ~Caller() {
    if (session_ != 0) functions_.C_CloseSession(session_);
  }

  CK_RV Prepare() {
    CK_RV ckr = functions_.C_OpenSession(static_cast<CK_SLOT_ID>(request_.slot_id),
                                         CKF_SERIAL_SESSION, nullptr, nullptr, &session_);
    if (ckr != CKR_OK) return ckr;
    CK_OBJECT_CLASS object_class = CKO_SECRET_KEY;
    if (request_.operation == "ecdsa" || request_.operation == "pss")
      object_class = CKO_PRIVATE_KEY;
    CK_BBOOL token = CK_TRUE;
    CK_ATTRIBUTE match[] = {
        {CKA_CLASS, &object_class, sizeof object_class},
        {CKA_TOKEN, &token, sizeof token},
        {CKA_ID, const_cast<std::uint8_t*>(request_.key_id.data()), request_.key_id.size()}};
    CK_ULONG count = 0;
    ckr = functions_.C_FindObjectsInit(session_, match, 3);
    if (ckr == CKR_OK) ckr = functions_.C_FindObjects(session_, &key_, 1, &count);
    functions_.C_FindObjectsFinal(session_);
    if (ckr == CKR_OK && count != 1) return CKR_KEY_HANDLE_INVALID;
    if (ckr != CKR_OK || !request_.copies) return ckr;
    CK_BBOOL no = CK_FALSE;
    CK_ATTRIBUTE change{CKA_TOKEN, &no, sizeof no};
    return functions_.C_CopyObject(session_, key_, &change, 1, &key_);
  }

  CK_RV Once() {
    CK_ULONG len = out_.size();
    CK_RV ckr = CKR_OK;
    if (request_.operation == "gcm") {
      CK_GCM_PARAMS gcm{iv_, 12, 96, nullptr, 0, 128};
      CK_MECHANISM mechanism{CKM_AES_GCM, &gcm, sizeof gcm};
      ckr = functions_.C_EncryptInit(session_, &mechanism, key_);
      if (ckr != CKR_OK) return ckr;
      return functions_.C_Encrypt(session_, text_.data(), request_.text_len, out_.data(), &len);
    }
    CK_RSA_PKCS_PSS_PARAMS pss{CKM_SHA256, CKG_MGF1_SHA256, 32};
    CK_MECHANISM mechanism{CKM_ECDSA, nullptr, 0};
    if (request_.operation == "pss") mechanism = {CKM_RSA_PKCS_PSS, &pss, sizeof pss};
    ckr = functions_.C_SignInit(session_, &mechanism, key_);
    if (ckr != CKR_OK) return ckr;
    return functions_.C_Sign(session_, text_.data(), 32, out_.data(), &len);
  }

  CK_RV PrepareMessages() {
    CK_MECHANISM mechanism{CKM_AES_GCM, nullptr, 0};
    return list3().C_MessageEncryptInit(session_, &mechanism, key_);
  }

  CK_RV OneMessage() {
    keyplane::GcmMessageParameters parameters{iv_, 12, 0, keyplane::kNoGenerate, tag_, 128};
    CK_ULONG len = out_.size();
    return list3().C_EncryptMessage(session_, &parameters, sizeof parameters, nullptr, 0,
                                    text_.data(), request_.text_len, out_.data(), &len);
  }

 private:
  const keyplane::FunctionList3& list3() const {
    return reinterpret_cast<const keyplane::FunctionList3&>(functions_);
  }

  const CK_FUNCTION_LIST& functions_;
  const Request& request_;
  CK_SESSION_HANDLE session_ = 0;
  CK_OBJECT_HANDLE key_ = 0;
  std::vector<CK_BYTE> text_;
  std::vector<CK_BYTE> out_;
  CK_BYTE iv_[12];
  CK_BYTE tag_[16];
};

class Loop : public Napi::AsyncWorker {
 public:
  Loop(Napi::Env env, Request request)
      : Napi::AsyncWorker(env), deferred_(env), request_(std::move(request)) {}
  Napi::Promise promise() const { return deferred_.Promise(); }

 protected:
  void Execute() override {
    const bool messages = request_.operation == "message";
    CK_FUNCTION_LIST* functions = Load(request_.library, messages);
    if (functions == nullptr) return SetError("the module cannot be loaded");
    std::atomic<bool> stop = false;
    std::atomic<std::uint64_t> ops = 0;
    std::atomic<CK_RV> failure = CKR_OK;
    const std::uint64_t started = NowNs();
    const auto body = [&] {
      Caller caller(functions, request_);
      CK_RV ckr = caller.Prepare();
      if (ckr == CKR_OK && messages) ckr = caller.PrepareMessages();
      std::uint64_t count = 0;
      while (ckr == CKR_OK && !stop.load(std::memory_order_relaxed)) {
        ckr = messages ? caller.OneMessage() : caller.Once();
        ++count;
        if ((count & 15) == 0 || request_.milliseconds < 1000) {
          if (NowNs() - started > std::uint64_t{request_.milliseconds} * 1'000'000) break;
        }
      }
      ops += count;
      if (ckr != CKR_OK) failure = ckr;
    };
    std::vector<std::thread> threads;
    for (std::uint32_t i = 1; i < request_.num_threads; ++i) threads.emplace_back(body);
    body();
    for (std::thread& thread : threads) thread.join();
    ns_ = NowNs() - started;
    ops_ = ops;
    if (failure != CKR_OK) SetError("CKR " + std::to_string(failure.load()));
  }

  void OnOK() override {
    deferred_.Resolve(
        Napi::Number::New(Env(), static_cast<double>(ops_) * 1e9 / static_cast<double>(ns_)));
  }
  void OnError(const Napi::Error& error) override { deferred_.Reject(error.Value()); }

 private:
  Napi::Promise::Deferred deferred_;
  Request request_;
  std::uint64_t ops_ = 0;
  std::uint64_t ns_ = 1;
};

// loop(request): Promise<number>, operations a second. The request's shape is
// bench/native/c-loop.ts's.
Napi::Value RunLoop(const Napi::CallbackInfo& info) {
  const auto object = info[0].As<Napi::Object>();
  const auto number = [&](const char* name) {
    return object.Get(name).As<Napi::Number>().DoubleValue();
  };
  const auto id = object.Get("keyId").As<Napi::Uint8Array>();
  Request request{
      .library = object.Get("library").As<Napi::String>().Utf8Value(),
      .slot_id = number("slotId"),
      .key_id = std::vector<std::uint8_t>(id.Data(), id.Data() + id.ByteLength()),
      .operation = object.Get("operation").As<Napi::String>().Utf8Value(),
      .text_len = static_cast<std::uint32_t>(number("textLength")),
      .num_threads = static_cast<std::uint32_t>(number("threads")),
      .milliseconds = static_cast<std::uint32_t>(number("milliseconds")),
      .copies = object.Get("copies").As<Napi::Boolean>().Value(),
  };
  auto* loop = new Loop(info.Env(), std::move(request));
  const Napi::Promise promise = loop->promise();
  loop->Queue();
  return promise;
}

// finalize(library): the code that C_Finalize answers.
Napi::Value Finalize(const Napi::CallbackInfo& info) {
  CK_FUNCTION_LIST* functions = Load(info[0].As<Napi::String>().Utf8Value(), false);
  const double ckr =
      functions == nullptr ? -1 : static_cast<double>(functions->C_Finalize(nullptr));
  return Napi::Number::New(info.Env(), ckr);
}

Napi::Object Init(Napi::Env env, Napi::Object exports) {
  exports.Set("loop", Napi::Function::New(env, RunLoop));
  exports.Set("finalize", Napi::Function::New(env, Finalize));
  return exports;
}

NODE_API_MODULE(c_loop, Init)

}  // namespace
