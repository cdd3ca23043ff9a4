// What goes wrong in a PKCS#11 module, as a C++ exception that never leaves the addon, and the
// names of its codes.

#pragma once

#include <pkcs11/pkcs11.h>

#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

namespace keyplane {

// A refusal by a module (with the code of the function that refused) or a library that cannot serve
// as a module (without). Thrown and caught on one thread; JavaScript sees its parts as an HsmError.
class ModuleError : public std::runtime_error {
 public:
  explicit ModuleError(const std::string& message);
  ModuleError(std::string_view function, CK_RV ckr);

  std::optional<CK_RV> ckr() const { return ckr_; }

 private:
  std::optional<CK_RV> ckr_;
};

// Returns the standard's name of a code; empty for codes of vendors and of later standards.
std::string_view CkrName(CK_RV ckr);

// Throws ModuleError unless the function answered CKR_OK.
void Check(std::string_view function, CK_RV ckr);

}  // namespace keyplane
