// A PKCS#11 module for the tests that passes every call on to another one and spoils some on
// request.
//
// It reads a page of memory that a test writes while the process runs: the file beside the library,
// with ".ctl" behind its name. test/support/shim.ts writes it; both sides hold the same layout.

#include <dlfcn.h>
#include <fcntl.h>
#include <pkcs11/pkcs11.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstring>
#include <map>
#include <mutex>
#include <random>
#include <shared_mutex>
#include <string>
#include <tuple>
#include <type_traits>
#include <vector>

namespace {

enum Action : std::uint32_t {
  kFailBefore = 1,  // answers the argument without passing the call on: the request is lost
  kFailAfter,       // passes the call on, then answers the argument: the reply is lost
  kSleep,           // waits that many microseconds first
  kKill,            // closes all sessions of the process first
  kLogout,          // logs out first
  kReinitialize,    // finalises and initialises first
  kHang,            // waits until the page says so
  kLength,          // passes the call on, then changes the length that it gave
  kCloseThis,       // closes the session of the call first
  kCrash,           // reads where nothing is
  kLeak,            // loses that many bytes first
  kFailLate,        // as kFailBefore, half a second later
};

constexpr std::uint64_t kLateUs = 500'000;

enum IvMode : std::uint32_t { kNormal, kWritesIv, kRepeatsIv, kShortParameters };

constexpr CK_MECHANISM_TYPE kPrefixGcm = CKM_VENDOR_DEFINED | CKM_AES_GCM;
constexpr std::size_t kIvLen = 12;

struct Rule {
  std::uint32_t active;
  std::uint32_t function;
  std::uint32_t first;  // the call, counted from 1, that it begins with
  std::uint32_t times;  // 0: for ever
  std::uint64_t argument;
  std::uint32_t action;
  std::uint32_t per_mille;  // of the calls that match; 0: all
  std::atomic<std::uint32_t> seen;
  std::atomic<std::uint32_t> hits;
  std::uint32_t unused[6];
};
static_assert(sizeof(Rule) == 64);

struct Page {
  char module[512];
  std::uint32_t init_us;
  std::uint32_t final_us;
  std::uint32_t jitter_us;
  std::uint32_t session_cap;
  std::uint32_t concurrency_cap;
  std::uint32_t iv_mode;
  std::atomic<std::uint32_t> hang;  // while not 0, calls that hang do so
  std::atomic<std::uint32_t> num_sessions;
  std::atomic<std::uint32_t> num_inside;
  std::atomic<std::uint32_t> most_inside;
  std::uint32_t unused[118];
  std::atomic<std::uint32_t> counters[256];
  Rule rules[16];
};
static_assert(sizeof(Page) == 3072);

#define FUNCTIONS(X)                                                                              \
  X(C_Initialize)                                                                                 \
  X(C_Finalize)                                                                                   \
  X(C_GetInfo)                                                                                    \
  X(C_GetSlotList)                                                                                \
  X(C_GetSlotInfo)                                                                                \
  X(C_GetTokenInfo) X(C_GetMechanismList) X(C_GetMechanismInfo) X(C_InitToken) X(C_InitPIN)       \
      X(C_OpenSession) X(C_CloseSession) X(C_CloseAllSessions) X(C_GetSessionInfo) X(C_Login)     \
          X(C_Logout) X(C_CreateObject) X(C_CopyObject) X(C_DestroyObject) X(C_GetAttributeValue) \
              X(C_SetAttributeValue) X(C_FindObjectsInit) X(C_FindObjects) X(C_FindObjectsFinal)  \
                  X(C_EncryptInit) X(C_Encrypt) X(C_DecryptInit) X(C_Decrypt) X(C_SignInit)       \
                      X(C_Sign) X(C_VerifyInit) X(C_Verify) X(C_GenerateKey) X(C_GenerateKeyPair) \
                          X(C_WrapKey) X(C_UnwrapKey) X(C_GenerateRandom)

enum Index : std::uint32_t {
#define X(name) k_##name,
  FUNCTIONS(X)
#undef X
};

// What a session with a spoilt AES-GCM operation has to remember.
struct GcmState {
  CK_BYTE iv[kIvLen];
  CK_BYTE* write_iv = nullptr;
  bool prefix = false;
  CK_OBJECT_HANDLE key = 0;
  std::vector<CK_BYTE> aad;
  CK_ULONG tag_bits = 0;
};

Page* page;
CK_FUNCTION_LIST* target;
CK_FUNCTION_LIST list;
// Held shared by calls, alone by what pulls the module away under them.
std::shared_mutex module_mutex;
std::mutex state_mutex;
std::map<CK_SESSION_HANDLE, GcmState> gcm_states;
std::map<CK_SESSION_HANDLE, CK_SLOT_ID> sessions;

void Forget() {
  std::lock_guard lock(state_mutex);
  gcm_states.clear();
  sessions.clear();
  page->num_sessions = 0;
}

void CloseAll() {
  std::unique_lock lock(module_mutex);
  CK_SLOT_ID slots[64];
  CK_ULONG count = 64;
  if (target->C_GetSlotList(CK_TRUE, slots, &count) != CKR_OK) return;
  for (CK_ULONG i = 0; i < count; ++i) target->C_CloseAllSessions(slots[i]);
  Forget();
}

void Logout() {
  std::unique_lock lock(module_mutex);
  CK_SLOT_ID slot = 0;
  {
    std::lock_guard state(state_mutex);
    if (sessions.empty()) return;
    slot = sessions.begin()->second;
  }
  CK_SESSION_HANDLE session = 0;
  if (target->C_OpenSession(slot, CKF_SERIAL_SESSION, nullptr, nullptr, &session) != CKR_OK) return;
  target->C_Logout(session);
  target->C_CloseSession(session);
}

void Reinitialize() {
  std::unique_lock lock(module_mutex);
  target->C_Finalize(nullptr);
  CK_C_INITIALIZE_ARGS arguments{};
  arguments.flags = CKF_OS_LOCKING_OK;
  target->C_Initialize(&arguments);
  Forget();
}

void SleepUs(std::uint64_t us) {
  const timespec time{static_cast<time_t>(us / 1'000'000),
                      static_cast<long>(us % 1'000'000) * 1000};
  nanosleep(&time, nullptr);
}

bool IsInit(std::uint32_t index) {
  return index == k_C_EncryptInit || index == k_C_DecryptInit || index == k_C_SignInit ||
         index == k_C_VerifyInit;
}

bool IsFinal(std::uint32_t index) {
  return index == k_C_Encrypt || index == k_C_Decrypt || index == k_C_Sign || index == k_C_Verify;
}

std::uint32_t Random() {
  static thread_local std::minstd_rand generator(std::random_device{}());
  return static_cast<std::uint32_t>(generator());
}

// The rule that this call falls under, if any.
Rule* Match(std::uint32_t index) {
  for (Rule& rule : page->rules) {
    if (rule.active == 0 || rule.function != index) continue;
    const std::uint32_t number = ++rule.seen;
    if (number < rule.first) continue;
    if (rule.times != 0 && number >= rule.first + rule.times) continue;
    if (rule.per_mille != 0 && Random() % 1000 >= rule.per_mille) continue;
    ++rule.hits;
    return &rule;
  }
  return nullptr;
}

// AES-GCM of a token that makes the IV itself.

CK_RV GcmInit(bool encrypts, CK_SESSION_HANDLE session, CK_MECHANISM* mechanism,
              CK_OBJECT_HANDLE key) {
  const std::uint32_t mode = page->iv_mode;
  const bool prefix = mechanism->mechanism == kPrefixGcm;
  const auto init = encrypts ? target->C_EncryptInit : target->C_DecryptInit;
  if (mode == kShortParameters && mechanism->mechanism == CKM_AES_GCM) {
    struct Short {
      CK_BYTE* iv;
      CK_ULONG iv_len;
      CK_BYTE* aad;
      CK_ULONG aad_len;
      CK_ULONG tag_bits;
    };
    if (mechanism->ulParameterLen != sizeof(Short)) return CKR_MECHANISM_PARAM_INVALID;
    const auto* given = static_cast<Short*>(mechanism->pParameter);
    CK_GCM_PARAMS full{given->iv,  given->iv_len,  given->iv_len * 8,
                       given->aad, given->aad_len, given->tag_bits};
    CK_MECHANISM passed{CKM_AES_GCM, &full, sizeof full};
    return init(session, &passed, key);
  }
  const bool ours = prefix || (encrypts && mechanism->mechanism == CKM_AES_GCM &&
                               (mode == kWritesIv || mode == kRepeatsIv));
  if (!ours) return init(session, mechanism, key);
  if (mechanism->ulParameterLen != sizeof(CK_GCM_PARAMS)) return CKR_MECHANISM_PARAM_INVALID;
  CK_GCM_PARAMS parameters = *static_cast<CK_GCM_PARAMS*>(mechanism->pParameter);
  GcmState state;
  state.prefix = prefix;
  state.key = key;
  state.tag_bits = parameters.ulTagBits;
  if (parameters.ulAADLen != 0) {
    state.aad.assign(parameters.pAAD, parameters.pAAD + parameters.ulAADLen);
  }
  if (!prefix) {
    // As AWS CloudHSM does: the IV must be twelve zeros.
    if (parameters.ulIvLen != kIvLen ||
        std::any_of(parameters.pIv, parameters.pIv + kIvLen, [](CK_BYTE b) { return b != 0; })) {
      return CKR_MECHANISM_PARAM_INVALID;
    }
    state.write_iv = parameters.pIv;
  } else if (parameters.pIv != nullptr) {
    return CKR_MECHANISM_PARAM_INVALID;
  }
  CK_RV ckr = CKR_OK;
  if (encrypts) {
    if (mode == kRepeatsIv) {
      std::memset(state.iv, 7, kIvLen);
    } else if (getrandom(state.iv, kIvLen, 0) != static_cast<ssize_t>(kIvLen)) {
      return CKR_RANDOM_NO_RNG;
    }
    CK_GCM_PARAMS passed{state.iv,         kIvLen,           kIvLen * 8,
                         state.aad.data(), state.aad.size(), state.tag_bits};
    CK_MECHANISM gcm{CKM_AES_GCM, &passed, sizeof passed};
    ckr = init(session, &gcm, key);
  }
  if (ckr == CKR_OK) {
    std::lock_guard lock(state_mutex);
    gcm_states[session] = std::move(state);
  }
  return ckr;
}

CK_RV GcmFinal(bool encrypts, CK_SESSION_HANDLE session, CK_BYTE* input, CK_ULONG input_len,
               CK_BYTE* output, CK_ULONG* output_len) {
  const auto final = encrypts ? target->C_Encrypt : target->C_Decrypt;
  GcmState state;
  {
    std::lock_guard lock(state_mutex);
    const auto found = gcm_states.find(session);
    if (found == gcm_states.end())
      state.tag_bits = 0;
    else
      state = std::move(found->second);
    gcm_states.erase(session);
  }
  if (state.tag_bits == 0) return final(session, input, input_len, output, output_len);
  if (encrypts && !state.prefix) {
    const CK_RV ckr = final(session, input, input_len, output, output_len);
    // Only now, as the standard lets it: parameters live until the operation ends.
    if (ckr == CKR_OK) std::memcpy(state.write_iv, state.iv, kIvLen);
    return ckr;
  }
  if (encrypts) {
    if (*output_len < kIvLen) return CKR_BUFFER_TOO_SMALL;
    CK_ULONG len = *output_len - kIvLen;
    const CK_RV ckr = final(session, input, input_len, output + kIvLen, &len);
    if (ckr != CKR_OK) return ckr;
    std::memcpy(output, state.iv, kIvLen);
    *output_len = len + kIvLen;
    return CKR_OK;
  }
  if (input_len < kIvLen) return CKR_ENCRYPTED_DATA_LEN_RANGE;
  CK_GCM_PARAMS passed{input,         kIvLen, kIvLen * 8, state.aad.data(), state.aad.size(),
                       state.tag_bits};
  CK_MECHANISM gcm{CKM_AES_GCM, &passed, sizeof passed};
  const CK_RV ckr = target->C_DecryptInit(session, &gcm, state.key);
  if (ckr != CKR_OK) return ckr;
  return final(session, input + kIvLen, input_len - kIvLen, output, output_len);
}

// Passes a call on, with what the shim adds to it.
template <auto kMember, std::uint32_t kIndex, typename... Arguments>
CK_RV Forward(Arguments... arguments) {
  std::shared_lock lock(module_mutex);
  if constexpr (kIndex == k_C_EncryptInit || kIndex == k_C_DecryptInit) {
    const auto gcm = [](CK_SESSION_HANDLE session, CK_MECHANISM* mechanism, CK_OBJECT_HANDLE key) {
      const bool is_gcm = mechanism != nullptr && (mechanism->mechanism == CKM_AES_GCM ||
                                                   mechanism->mechanism == kPrefixGcm);
      if (is_gcm) return GcmInit(kIndex == k_C_EncryptInit, session, mechanism, key);
      return (target->*kMember)(session, mechanism, key);
    };
    return gcm(arguments...);
  } else if constexpr (kIndex == k_C_Encrypt || kIndex == k_C_Decrypt) {
    return GcmFinal(kIndex == k_C_Encrypt, arguments...);
  } else if constexpr (kIndex == k_C_OpenSession) {
    if (++page->num_sessions > page->session_cap && page->session_cap != 0) {
      --page->num_sessions;
      return CKR_SESSION_COUNT;
    }
    const auto open = [](CK_SLOT_ID slot, CK_FLAGS flags, void* application, CK_NOTIFY notify,
                         CK_SESSION_HANDLE* session) {
      const CK_RV ckr = target->C_OpenSession(slot, flags, application, notify, session);
      if (ckr != CKR_OK) {
        --page->num_sessions;
        return ckr;
      }
      std::lock_guard state(state_mutex);
      sessions[*session] = slot;
      return ckr;
    };
    return open(arguments...);
  } else if constexpr (kIndex == k_C_CloseSession) {
    const auto close = [](CK_SESSION_HANDLE session) {
      const CK_RV ckr = target->C_CloseSession(session);
      if (ckr == CKR_OK) {
        --page->num_sessions;
        std::lock_guard state(state_mutex);
        sessions.erase(session);
        gcm_states.erase(session);
      }
      return ckr;
    };
    return close(arguments...);
  } else if constexpr (kIndex == k_C_Finalize) {
    const CK_RV ckr = target->C_Finalize(arguments...);
    if (ckr == CKR_OK) Forget();
    return ckr;
  } else {
    return (target->*kMember)(arguments...);
  }
}

template <typename First, typename... Rest>
First FirstOf(First first, Rest...) {
  return first;
}

template <typename... Arguments>
auto LastOf(Arguments... arguments) {
  return std::get<sizeof...(Arguments) - 1>(std::make_tuple(arguments...));
}

template <auto kMember, std::uint32_t kIndex, typename... Arguments>
CK_RV Spoil(Rule& rule, Arguments... arguments) {
  const std::uint64_t argument = rule.argument;
  switch (rule.action) {
    case kFailBefore:
      return argument;
    case kFailLate:
      SleepUs(kLateUs);
      return argument;
    case kFailAfter: {
      const CK_RV ckr = Forward<kMember, kIndex>(arguments...);
      return ckr == CKR_OK ? argument : ckr;
    }
    case kSleep:
      SleepUs(argument);
      break;
    case kKill:
      CloseAll();
      break;
    case kLogout:
      Logout();
      break;
    case kReinitialize:
      Reinitialize();
      break;
    case kHang:
      while (page->hang != 0) SleepUs(500);
      break;
    case kLength:
      if constexpr (std::is_same_v<decltype(LastOf(arguments...)), CK_ULONG*>) {
        const CK_RV ckr = Forward<kMember, kIndex>(arguments...);
        if (ckr == CKR_OK) *LastOf(arguments...) = argument;
        return ckr;
      }
      break;
    case kCloseThis:
      if constexpr (kIndex == k_C_EncryptInit || kIndex == k_C_SignInit || kIndex == k_C_Encrypt) {
        std::unique_lock lock(module_mutex);
        target->C_CloseSession(FirstOf(arguments...));
        --page->num_sessions;
      }
      break;
    case kLeak: {
      CK_BYTE* volatile lost = new CK_BYTE[argument];
      lost[0] = 1;
      lost = nullptr;
      break;
    }
    case kCrash:
      raise(SIGSEGV);
      break;
    default:
      break;
  }
  return Forward<kMember, kIndex>(arguments...);
}

// Counts a stay in the module, and waits for room where the page bounds how many there may be.
class Inside {
 public:
  Inside() {
    for (;;) {
      const std::uint32_t now = ++page->num_inside;
      if (page->concurrency_cap == 0 || now <= page->concurrency_cap) {
        std::uint32_t most = page->most_inside;
        while (now > most && !page->most_inside.compare_exchange_weak(most, now)) continue;
        return;
      }
      --page->num_inside;
      SleepUs(50);
    }
  }
  ~Inside() { --page->num_inside; }
};

template <auto kMember, std::uint32_t kIndex>
struct Wrapped;

template <typename... Arguments, CK_RV (*CK_FUNCTION_LIST::*kMember)(Arguments...),
          std::uint32_t kIndex>
struct Wrapped<kMember, kIndex> {
  static CK_RV Call(Arguments... arguments) {
    ++page->counters[kIndex];
    Rule* rule = Match(kIndex);
    if constexpr (kIndex == k_C_Encrypt || kIndex == k_C_Sign || kIndex == k_C_EncryptInit) {
      const Inside inside;
      return Go(rule, arguments...);
    } else {
      return Go(rule, arguments...);
    }
  }

  static CK_RV Go(Rule* rule, Arguments... arguments) {
    std::uint64_t us = IsInit(kIndex) ? page->init_us : IsFinal(kIndex) ? page->final_us : 0;
    if (us != 0 && page->jitter_us != 0) us += Random() % page->jitter_us;
    if (us != 0) SleepUs(us);
    if (rule != nullptr) return Spoil<kMember, kIndex>(*rule, arguments...);
    return Forward<kMember, kIndex>(arguments...);
  }
};

bool Load() {
  static const bool loaded = [] {
    Dl_info self{};
    if (dladdr(reinterpret_cast<void*>(&Load), &self) == 0) return false;
    const std::string control = std::string(self.dli_fname) + ".ctl";
    const int file = open(control.c_str(), O_RDWR | O_CLOEXEC);
    if (file < 0) return false;
    void* mapped = mmap(nullptr, sizeof(Page), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
    if (mapped == MAP_FAILED) return false;
    page = static_cast<Page*>(mapped);
    int flags = RTLD_NOW | RTLD_LOCAL;
#if defined(RTLD_DEEPBIND) && !defined(__SANITIZE_ADDRESS__)
    flags |= RTLD_DEEPBIND;
#endif
    void* library = dlopen(page->module, flags);
    if (library == nullptr) return false;
    const auto get = reinterpret_cast<CK_C_GetFunctionList>(dlsym(library, "C_GetFunctionList"));
    if (get == nullptr || get(&target) != CKR_OK) return false;
    list = *target;
    list.version = {2, 40};
#define X(name) list.name = Wrapped<&CK_FUNCTION_LIST::name, k_##name>::Call;
    FUNCTIONS(X)
#undef X
    return true;
  }();
  return loaded;
}

}  // namespace

extern "C" CK_RV C_GetFunctionList(CK_FUNCTION_LIST_PTR_PTR functions) {
  if (!Load()) return CKR_GENERAL_ERROR;
  *functions = &list;
  return CKR_OK;
}
