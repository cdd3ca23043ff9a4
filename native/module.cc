// A module is foreign code that may be wrong in every answer: counts are bounded, pointers checked.

#include "module.h"

#include <dlfcn.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <map>
#include <memory>
#include <string_view>
#include <system_error>
#include <utility>

#include "error.h"
#include "exit.h"

namespace keyplane {
namespace {

constexpr CK_ULONG kMaxListLength = 65'536;
constexpr int kListAttempts = 5;
// The greatest integer that a JavaScript number holds exactly.
constexpr std::uint64_t kMaxSlotId = (std::uint64_t{1} << 53) - 1;

// Reads a list in two calls: its length, then its items (PKCS #11 2.40, 5.2). A list that grew in
// between is read again.
template <typename Item, typename Call>
std::vector<Item> ReadList(std::string_view function, Call call) {
  for (int attempt = 0; attempt < kListAttempts; ++attempt) {
    CK_ULONG length = 0;
    Check(function, call(nullptr, &length));
    if (length == 0) return {};
    if (length > kMaxListLength) {
      throw ModuleError(std::string(function) + " announced an implausibly long list");
    }
    std::vector<Item> items(length);
    const CK_RV ckr = call(items.data(), &length);
    if (ckr == CKR_BUFFER_TOO_SMALL) continue;
    Check(function, ckr);
    if (length > items.size()) {
      throw ModuleError(std::string(function) + " claims to have written more than there was room");
    }
    items.resize(length);
    return items;
  }
  throw ModuleError(function, CKR_BUFFER_TOO_SMALL);
}

bool IsNewer(const CK_VERSION& a, const CK_VERSION& b) {
  return std::pair(a.major, a.minor) > std::pair(b.major, b.minor);
}

// Returns the newest function list that starts with the members of 2.40, as those of 3.x do.
CK_FUNCTION_LIST* FindFunctions(const Library& library) {
  const auto get_function_list = library.Find<CK_C_GetFunctionList>("C_GetFunctionList");
  if (get_function_list == nullptr) {
    throw ModuleError("The library has no C_GetFunctionList, so it is not a PKCS#11 module");
  }
  CK_FUNCTION_LIST* newest = nullptr;
  Check("C_GetFunctionList", get_function_list(&newest));
  if (newest == nullptr) throw ModuleError("C_GetFunctionList gave no function list");

  const auto get_interface_list = library.Find<GetInterfaceList>("C_GetInterfaceList");
  if (get_interface_list == nullptr) return newest;
  CK_ULONG count = 0;
  if (get_interface_list(nullptr, &count) == CKR_FUNCTION_NOT_SUPPORTED) return newest;
  for (const Interface& candidate : ReadList<Interface>("C_GetInterfaceList", get_interface_list)) {
    if (candidate.name == nullptr || candidate.functions == nullptr) continue;
    if (std::strcmp(candidate.name, "PKCS 11") != 0) continue;
    const CK_VERSION& version = candidate.functions->version;
    if (version.major <= 3 && IsNewer(version, newest->version)) newest = candidate.functions;
  }
  return newest;
}

void RequireFunction(bool present, const char* name) {
  if (!present) throw ModuleError(std::string("The function list of the module lacks ") + name);
}

void RequireProbeFunctions(const CK_FUNCTION_LIST& functions) {
  RequireFunction(functions.C_Initialize != nullptr, "C_Initialize");
  RequireFunction(functions.C_Finalize != nullptr, "C_Finalize");
  RequireFunction(functions.C_GetInfo != nullptr, "C_GetInfo");
  RequireFunction(functions.C_GetSlotList != nullptr, "C_GetSlotList");
  RequireFunction(functions.C_GetTokenInfo != nullptr, "C_GetTokenInfo");
  RequireFunction(functions.C_GetMechanismList != nullptr, "C_GetMechanismList");
}

// Returns the list as one of 3.0 if it has the message functions.
const FunctionList3* MessageFunctions(const CK_FUNCTION_LIST* functions) {
  if (functions->version.major != 3) return nullptr;
  const auto* list = reinterpret_cast<const FunctionList3*>(functions);
  const bool complete =
      list->C_MessageEncryptInit != nullptr && list->C_EncryptMessage != nullptr &&
      list->C_MessageEncryptFinal != nullptr && list->C_MessageDecryptInit != nullptr &&
      list->C_DecryptMessage != nullptr && list->C_MessageDecryptFinal != nullptr;
  return complete ? list : nullptr;
}

// CK_C_INITIALIZE_ARGS with room behind it: NSS reads the text from where pReserved is and has its
// own reserved pointer, which must be null, after that.
struct InitializeArguments {
  CK_C_INITIALIZE_ARGS standard{};
  void* reserved_of_nss = nullptr;
};

// Reads a text field: fixed width, padded with blanks by the standard and with a NUL by some.
template <std::size_t kWidth>
std::string ReadText(const CK_UTF8CHAR (&field)[kWidth]) {
  std::string_view text(reinterpret_cast<const char*>(field), kWidth);
  text = text.substr(0, text.find('\0'));
  return std::string(text.substr(0, text.find_last_not_of(' ') + 1));
}

bool IsAbsent(CK_RV ckr) { return ckr == CKR_TOKEN_NOT_PRESENT || ckr == CKR_TOKEN_NOT_RECOGNIZED; }

TokenInfo ToToken(const CK_FUNCTION_LIST& functions, CK_SLOT_ID slot_id,
                  const CK_TOKEN_INFO& info) {
  const auto list_mechanisms = [&](CK_MECHANISM_TYPE* mechanisms, CK_ULONG* count) {
    return functions.C_GetMechanismList(slot_id, mechanisms, count);
  };
  return {.slot_id = slot_id,
          .label = ReadText(info.label),
          .manufacturer = ReadText(info.manufacturerID),
          .model = ReadText(info.model),
          .serial = ReadText(info.serialNumber),
          .flags = info.flags,
          .mechanisms = ReadList<CK_MECHANISM_TYPE>("C_GetMechanismList", list_mechanisms)};
}

}  // namespace

Library::Library(const std::string& path, bool deepbind) {
  int flags = RTLD_NOW | RTLD_LOCAL;
  // Node exports its own OpenSSL. Without this flag a module that was linked to another one calls
  // into Node's and can change its settings. The sanitizers refuse the flag.
#if defined(RTLD_DEEPBIND) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
  if (deepbind) flags |= RTLD_DEEPBIND;
#else
  static_cast<void>(deepbind);
#endif
  handle_ = dlopen(path.c_str(), flags);
  if (handle_ == nullptr) throw ModuleError(std::string("Cannot load the library: ") + dlerror());
}

Library::~Library() {
  if (handle_ != nullptr) dlclose(handle_);
}

void* Library::FindSymbol(const char* name) const { return dlsym(handle_, name); }

Module& Module::At(const std::string& path) {
  // Never destroyed: pool threads may still be in a module while the process exits.
  static auto& mutex = *new std::mutex;
  static auto& modules = *new std::map<std::string, std::unique_ptr<Module>>;
  std::error_code error;
  auto real = std::filesystem::canonical(path, error);
  const std::string key = error ? path : real.string();
  // Opening a pipe or a device would block or worse.
  if (!error && !std::filesystem::is_regular_file(real, error)) {
    throw ModuleError("Cannot load the library: " + path + " is not a file");
  }
  std::lock_guard lock(mutex);
  auto& module = modules[key];
  if (module == nullptr) module.reset(new Module(key));
  return *module;
}

void Module::Acquire(const ModuleOptions& options) {
  std::lock_guard lock(mutex_);
  if (users_ == 0) {
    options_ = options;
    library_.emplace(path_, options.deepbind);
    try {
      CK_FUNCTION_LIST* functions = FindFunctions(*library_);
      RequireProbeFunctions(*functions);
      functions_ = functions;
      functions3_ = MessageFunctions(functions);
      Initialize();
    } catch (...) {
      library_.reset();
      throw;
    }
  } else if (options.init_args != options_.init_args) {
    throw ModuleError("The module is in use with other initArgs");
  }
  ++users_;
}

// mutex_ is held.
void Module::Initialize() {
  CK_FUNCTION_LIST* functions = functions_;
  InitializeArguments arguments;
  arguments.standard.flags = CKF_OS_LOCKING_OK;
  if (!options_.init_args.empty()) arguments.standard.pReserved = options_.init_args.data();
  CK_RV ckr = functions->C_Initialize(&arguments);
  serial_ = false;
  if (ckr == CKR_CANT_LOCK) {
    arguments.standard.flags = 0;
    ckr = functions->C_Initialize(options_.init_args.empty() ? nullptr : &arguments);
    serial_ = ckr == CKR_OK;
  }
  ours_ = ckr != CKR_CRYPTOKI_ALREADY_INITIALIZED;
  if (ours_) Check("C_Initialize", ckr);
  ++generation_;
  // After C_Initialize, so that it runs before what the module and its libcrypto register.
  WatchExit();
}

CK_RV Module::Release(bool keep) {
  // The use that stays behind keeps the count above zero. A thread in the module may have the lock.
  if (keep) return CKR_OK;
  std::lock_guard lock(mutex_);
  if (--users_ > 0) return CKR_OK;
  const CK_RV ckr = ours_ ? functions_.load()->C_Finalize(nullptr) : CKR_OK;
  // Someone else may have finalised it; that is none of our business now.
  const bool finalized = ckr == CKR_OK || ckr == CKR_CRYPTOKI_NOT_INITIALIZED;
  if (!finalized || stays_) library_->Keep();
  library_.reset();
  return finalized ? CKR_OK : ckr;
}

bool Module::Reinitialize(std::uint32_t seen_generation, bool finalize) {
  std::lock_guard lock(mutex_);
  if (generation_ != seen_generation) return true;
  if (finalize) {
    if (!ours_ || users_ != 1) return false;
    const CK_RV ckr = functions_.load()->C_Finalize(nullptr);
    if (ckr != CKR_CRYPTOKI_NOT_INITIALIZED) Check("C_Finalize", ckr);
  }
  Initialize();
  return true;
}

ModuleUse::ModuleUse(const std::string& path, const ModuleOptions& options)
    : module_(Module::At(path)) {
  module_.Acquire(options);
  held_ = true;
}

void ModuleUse::StayLoaded() {
  const std::lock_guard lock(module_.mutex_);
  module_.stays_ = true;
}

void ModuleUse::Finish() { Check("C_Finalize", Release()); }

CK_RV ModuleUse::Release() { return std::exchange(held_, false) ? module_.Release(keep_) : CKR_OK; }

std::vector<TokenInfo> ReadTokens(const CK_FUNCTION_LIST& functions) {
  std::vector<TokenInfo> tokens;
  const auto list_slots = [&](CK_SLOT_ID* slots, CK_ULONG* count) {
    return functions.C_GetSlotList(CK_TRUE, slots, count);
  };
  for (const CK_SLOT_ID slot_id : ReadList<CK_SLOT_ID>("C_GetSlotList", list_slots)) {
    if (slot_id > kMaxSlotId) throw ModuleError("C_GetSlotList gave an id beyond 53 bits");
    CK_TOKEN_INFO info{};
    const CK_RV ckr = functions.C_GetTokenInfo(slot_id, &info);
    if (IsAbsent(ckr)) continue;
    Check("C_GetTokenInfo", ckr);
    tokens.push_back(ToToken(functions, slot_id, info));
  }
  return tokens;
}

TokenInfo ReadToken(const CK_FUNCTION_LIST& functions, CK_SLOT_ID slot_id) {
  CK_TOKEN_INFO info{};
  Check("C_GetTokenInfo", functions.C_GetTokenInfo(slot_id, &info));
  return ToToken(functions, slot_id, info);
}

std::vector<MechanismInfo> ReadMechanisms(const CK_FUNCTION_LIST& functions, CK_SLOT_ID slot_id) {
  RequireFunction(functions.C_GetMechanismInfo != nullptr, "C_GetMechanismInfo");
  const auto list_mechanisms = [&](CK_MECHANISM_TYPE* mechanisms, CK_ULONG* count) {
    return functions.C_GetMechanismList(slot_id, mechanisms, count);
  };
  std::vector<MechanismInfo> mechanisms;
  for (const auto type : ReadList<CK_MECHANISM_TYPE>("C_GetMechanismList", list_mechanisms)) {
    CK_MECHANISM_INFO info{};
    const CK_RV ckr = functions.C_GetMechanismInfo(slot_id, type, &info);
    if (ckr == CKR_MECHANISM_INVALID) continue;
    Check("C_GetMechanismInfo", ckr);
    mechanisms.push_back({type, info});
  }
  return mechanisms;
}

ModuleInfo ReadModule(const CK_FUNCTION_LIST& functions) {
  CK_INFO info{};
  Check("C_GetInfo", functions.C_GetInfo(&info));
  return {.cryptoki_version = info.cryptokiVersion,
          .manufacturer = ReadText(info.manufacturerID),
          .description = ReadText(info.libraryDescription),
          .library_version = info.libraryVersion,
          .slots = {}};
}

ModuleInfo ProbeModule(const std::string& path, const ModuleOptions& options) {
  ModuleUse use(path, options);
  const CK_FUNCTION_LIST& functions = *use.module().functions();
  ModuleInfo module = ReadModule(functions);
  module.slots = ReadTokens(functions);
  use.Finish();
  return module;
}

}  // namespace keyplane
