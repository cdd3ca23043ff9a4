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
  explicit ModuleError(const std::string& message, std::string reason = {});
  ModuleError(std::string_view function, CK_RV ckr);

  std::optional<CK_RV> ckr() const { return ckr_; }
  // Empty without a code.
  const std::string& function() const { return function_; }
  // A word for what went wrong before or beside a code, as "token-not-found"; may be empty.
  const std::string& reason() const { return reason_; }

 private:
  std::optional<CK_RV> ckr_;
  std::string function_;
  std::string reason_;
};

// Returns the standard's name of a code; empty for codes of vendors and of later standards.
std::string_view CkrName(CK_RV ckr);

// Throws ModuleError unless the function answered CKR_OK.
void Check(std::string_view function, CK_RV ckr);

}  // namespace keyplane
