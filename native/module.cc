// A module is foreign code that may be wrong in every answer: counts are bounded, pointers checked.

#include "module.h"

#include <dlfcn.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <map>
#include <mutex>
#include <span>
#include <string_view>
#include <system_error>
#include <utility>

#include "error.h"

namespace keyplane {
namespace {

constexpr CK_ULONG kMaxListLength = 65'536;
constexpr int kListAttempts = 5;
// The greatest integer that a JavaScript number holds exactly.
constexpr std::uint64_t kMaxSafeInteger = (std::uint64_t{1} << 53) - 1;

// CK_INTERFACE of PKCS #11 3.0, 3.7, which the headers of 2.40 lack.
struct Interface {
  const char* name;
  CK_FUNCTION_LIST* functions;
  CK_FLAGS flags;
};
using GetInterfaceList = CK_RV (*)(Interface* interfaces, CK_ULONG* count);

// Tells how many shares a function list has. Function lists, not libraries, are what a process
// initialises: a module may hand out several, each an instance of its own.
struct Usage {
  std::mutex mutex;
  int shares = 0;
  bool ours = false;
};

Usage& UsageOf(const CK_FUNCTION_LIST* functions) {
  // Never destroyed: pool threads may still be in a module while the process exits.
  static auto& mutex = *new std::mutex;
  static auto& usages = *new std::map<const CK_FUNCTION_LIST*, Usage>;
  std::lock_guard lock(mutex);
  return usages[functions];
}

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

// Reads a text field: fixed width, padded with blanks by the standard and with a NUL by some.
template <std::size_t kWidth>
std::string ReadText(const CK_UTF8CHAR (&field)[kWidth]) {
  std::string_view text(reinterpret_cast<const char*>(field), kWidth);
  text = text.substr(0, text.find('\0'));
  return std::string(text.substr(0, text.find_last_not_of(' ') + 1));
}

std::vector<TokenInfo> ReadTokens(const CK_FUNCTION_LIST& functions) {
  std::vector<TokenInfo> tokens;
  const auto list_slots = [&](CK_SLOT_ID* slots, CK_ULONG* count) {
    return functions.C_GetSlotList(CK_TRUE, slots, count);
  };
  for (const CK_SLOT_ID slot_id : ReadList<CK_SLOT_ID>("C_GetSlotList", list_slots)) {
    if (slot_id > kMaxSafeInteger) throw ModuleError("C_GetSlotList gave an id beyond 53 bits");
    CK_TOKEN_INFO info{};
    const CK_RV ckr = functions.C_GetTokenInfo(slot_id, &info);
    if (ckr == CKR_TOKEN_NOT_PRESENT || ckr == CKR_TOKEN_NOT_RECOGNIZED) continue;
    Check("C_GetTokenInfo", ckr);
    const auto list_mechanisms = [&](CK_MECHANISM_TYPE* mechanisms, CK_ULONG* count) {
      return functions.C_GetMechanismList(slot_id, mechanisms, count);
    };
    tokens.push_back({.slot_id = slot_id,
                      .label = ReadText(info.label),
                      .manufacturer = ReadText(info.manufacturerID),
                      .model = ReadText(info.model),
                      .serial = ReadText(info.serialNumber),
                      .flags = info.flags,
                      .mechanisms =
                          ReadList<CK_MECHANISM_TYPE>("C_GetMechanismList", list_mechanisms)});
  }
  return tokens;
}

}  // namespace

Library::Library(const std::string& path) {
  // Opening a pipe or a device would block or worse.
  std::error_code ignored;
  const auto status = std::filesystem::status(path, ignored);
  if (std::filesystem::exists(status) && !std::filesystem::is_regular_file(status)) {
    throw ModuleError("Cannot load the library: " + path + " is not a file");
  }
  int flags = RTLD_NOW | RTLD_LOCAL;
  // Node exports its own OpenSSL. Without this flag a module that was linked to another one calls
  // into Node's and can change its settings. The sanitizers refuse the flag.
#if defined(RTLD_DEEPBIND) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
  flags |= RTLD_DEEPBIND;
#endif
  handle_ = dlopen(path.c_str(), flags);
  if (handle_ == nullptr) throw ModuleError(std::string("Cannot load the library: ") + dlerror());
}

Library::~Library() {
  if (handle_ != nullptr) dlclose(handle_);
}

void* Library::FindSymbol(const char* name) const { return dlsym(handle_, name); }

Initialization::Initialization(Library& library, CK_FUNCTION_LIST* functions)
    : library_(library), functions_(functions) {
  Usage& usage = UsageOf(functions_);
  std::lock_guard lock(usage.mutex);
  if (usage.shares == 0) {
    CK_C_INITIALIZE_ARGS arguments{};
    arguments.flags = CKF_OS_LOCKING_OK;
    const CK_RV ckr = functions_->C_Initialize(&arguments);
    usage.ours = ckr != CKR_CRYPTOKI_ALREADY_INITIALIZED;
    if (usage.ours) Check("C_Initialize", ckr);
  }
  ++usage.shares;
  held_ = true;
}

Initialization::~Initialization() { Release(); }

void Initialization::Finish() { Check("C_Finalize", Release()); }

CK_RV Initialization::Release() {
  if (!std::exchange(held_, false)) return CKR_OK;
  Usage& usage = UsageOf(functions_);
  std::lock_guard lock(usage.mutex);
  if (--usage.shares > 0 || !usage.ours) return CKR_OK;
  const CK_RV ckr = functions_->C_Finalize(nullptr);
  if (ckr != CKR_OK) library_.Keep();
  return ckr;
}

ModuleInfo ProbeModule(const std::string& path) {
  Library library(path);
  CK_FUNCTION_LIST* functions = FindFunctions(library);
  RequireProbeFunctions(*functions);
  Initialization initialization(library, functions);
  CK_INFO info{};
  Check("C_GetInfo", functions->C_GetInfo(&info));
  ModuleInfo module{.cryptoki_version = info.cryptokiVersion,
                    .manufacturer = ReadText(info.manufacturerID),
                    .description = ReadText(info.libraryDescription),
                    .library_version = info.libraryVersion,
                    .slots = ReadTokens(*functions)};
  initialization.Finish();
  return module;
}

}  // namespace keyplane
