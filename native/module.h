// A PKCS#11 module in this process: its library, its initialisation, and what it says about itself.
// Nothing here touches JavaScript. Every function may run on any thread, may take as long as the
// device takes, and throws ModuleError.

#pragma once

#include <pkcs11/pkcs11.h>

#include <atomic>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cryptoki.h"

namespace keyplane {

struct ModuleOptions {
  // The text for pReserved of CK_C_INITIALIZE_ARGS.
  std::string init_args;
  // Binds the library to its own libcrypto instead of the one that Node exports (glibc).
  bool deepbind = true;
};

// A loaded shared library.
class Library {
 public:
  Library(const std::string& path, bool deepbind);
  ~Library();
  Library(const Library&) = delete;
  Library& operator=(const Library&) = delete;

  // Returns the address of an exported function, or null.
  template <typename Function>
  Function Find(const char* name) const {
    return reinterpret_cast<Function>(FindSymbol(name));
  }

  // Leaves the library in memory for good: a module that is still initialised may have threads.
  void Keep() { handle_ = nullptr; }

 private:
  void* FindSymbol(const char* name) const;

  void* handle_;
};

// One module of the process, known by the real path of its library, for whatever Node environments
// and pools use it. The first use loads and initialises it, the last one finalises it and, if no
// pool had threads in it, unloads it (PKCS #11 2.40, 5.4). A module that other code of the process
// had initialised is never finalised.
class Module {
 public:
  // Returns the one of this path; it lives as long as the process.
  static Module& At(const std::string& path);

  CK_FUNCTION_LIST* functions() const { return functions_.load(); }
  // Null unless the module has every message function of PKCS #11 3.0 that is used here.
  const FunctionList3* functions3() const { return functions3_.load(); }
  // Counts initialisations: handles and slot ids of an earlier one mean nothing.
  std::uint32_t generation() const { return generation_.load(); }
  // Calls must not overlap: the module can't lock (CKR_CANT_LOCK).
  bool serial() const { return serial_.load(); }
  // Returns what must be held around a call; holds nothing where calls may overlap.
  std::unique_lock<std::mutex> LockSerial() {
    return serial() ? std::unique_lock(serial_mutex_) : std::unique_lock<std::mutex>();
  }

  // Initialises the module anew unless someone did so since `seen_generation`. With `finalize`, a
  // module that is ours and has one user alone is finalised first, so that it looks for tokens
  // again; returns false where that can't be done.
  bool Reinitialize(std::uint32_t seen_generation, bool finalize);

 private:
  friend class ModuleUse;

  explicit Module(std::string path) : path_(std::move(path)) {}
  void Acquire(const ModuleOptions& options);
  CK_RV Release(bool keep);
  void Initialize();

  const std::string path_;
  std::mutex mutex_;
  std::mutex serial_mutex_;
  std::optional<Library> library_;
  ModuleOptions options_;
  int users_ = 0;
  bool ours_ = false;
  bool stays_ = false;
  std::atomic<CK_FUNCTION_LIST*> functions_ = nullptr;
  std::atomic<const FunctionList3*> functions3_ = nullptr;
  std::atomic<std::uint32_t> generation_ = 0;
  std::atomic<bool> serial_ = false;
};

// A share in a module.
class ModuleUse {
 public:
  // The path must name a file.
  ModuleUse(const std::string& path, const ModuleOptions& options);
  ~ModuleUse() { Release(); }
  ModuleUse(const ModuleUse&) = delete;
  ModuleUse& operator=(const ModuleUse&) = delete;

  Module& module() const { return module_; }
  CK_FUNCTION_LIST* operator->() const { return module_.functions(); }

  // Gives the share back and throws if the module refuses to finalise, of which the destructor
  // would not tell.
  void Finish();

  // Leaves the library in memory for good, also when the module is finalised: a thread that was in
  // it ends when it can, and then runs what the module has left for its end.
  void StayLoaded();

  // Leaves the module initialised and loaded for good: a thread may be in it.
  void Keep() { keep_ = true; }

 private:
  CK_RV Release();

  Module& module_;
  bool held_ = false;
  bool keep_ = false;
};

// A slot with a token in it.
struct TokenInfo {
  CK_SLOT_ID slot_id;
  std::string label;
  std::string manufacturer;
  std::string model;
  std::string serial;
  CK_FLAGS flags;
  std::vector<CK_MECHANISM_TYPE> mechanisms;
};

// Texts are UTF-8 as the module wrote them, without their padding.
struct ModuleInfo {
  CK_VERSION cryptoki_version;
  std::string manufacturer;
  std::string description;
  CK_VERSION library_version;
  std::vector<TokenInfo> slots;
};

struct MechanismInfo {
  CK_MECHANISM_TYPE type;
  CK_MECHANISM_INFO info;
};

// Slots whose token is absent or unknown to the module are left out.
std::vector<TokenInfo> ReadTokens(const CK_FUNCTION_LIST& functions);
TokenInfo ReadToken(const CK_FUNCTION_LIST& functions, CK_SLOT_ID slot_id);
std::vector<MechanismInfo> ReadMechanisms(const CK_FUNCTION_LIST& functions, CK_SLOT_ID slot_id);
ModuleInfo ReadModule(const CK_FUNCTION_LIST& functions);

// Loads a module, asks what it and its tokens are, and leaves no trace of it. The newest standard
// interface up to 3.x answers.
ModuleInfo ProbeModule(const std::string& path, const ModuleOptions& options);

}  // namespace keyplane
