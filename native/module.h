// A PKCS#11 module in this process: its library, its initialisation, and what it says about itself.
// Nothing here touches JavaScript. Every function may run on any thread, may take as long as the
// device takes, and throws ModuleError.

#pragma once

#include <pkcs11/pkcs11.h>

#include <string>
#include <vector>

namespace keyplane {

// A loaded shared library, unloaded when the last Library of its path is gone.
class Library {
 public:
  explicit Library(const std::string& path);
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

// A share in the initialisation of a module, which a process does once (PKCS #11 2.40, 5.4). The
// first share initialises and the last one finalises, whatever threads or Node environments they
// are in. A module that other code of the process had initialised is never finalised here.
class Initialization {
 public:
  // Both must outlive the share.
  Initialization(Library& library, CK_FUNCTION_LIST* functions);
  ~Initialization();
  Initialization(const Initialization&) = delete;
  Initialization& operator=(const Initialization&) = delete;

  // Gives the share back and throws if the module refuses to finalise, of which the destructor
  // would not tell.
  void Finish();

 private:
  CK_RV Release();

  Library& library_;
  CK_FUNCTION_LIST* functions_;
  bool held_ = false;
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

// Loads a module, asks what it and its tokens are, and leaves no trace of it. The newest standard
// interface up to 3.x answers. Slots whose token is absent or unknown to the module are left out.
ModuleInfo ProbeModule(const std::string& path);

}  // namespace keyplane
