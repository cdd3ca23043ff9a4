// The functions of PKCS#11 whose answers are reported, as numbers that fit a record.

#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace keyplane {

enum class Function : std::uint8_t {
  kNone,
  kInitialize,
  kFinalize,
  kGetInfo,
  kGetSlotList,
  kGetTokenInfo,
  kGetMechanismList,
  kOpenSession,
  kCloseSession,
  kGetSessionInfo,
  kLogin,
  kFindObjectsInit,
  kFindObjects,
  kFindObjectsFinal,
  kGetAttributeValue,
  kCopyObject,
  kEncryptInit,
  kEncrypt,
  kDecryptInit,
  kDecrypt,
  kSignInit,
  kSign,
  kVerifyInit,
  kVerify,
  kGenerateRandom,
  kMessageEncryptInit,
  kEncryptMessage,
  kMessageDecryptInit,
  kDecryptMessage,
};

constexpr std::array<std::string_view, 29> kFunctionNames = {
    "",
    "C_Initialize",
    "C_Finalize",
    "C_GetInfo",
    "C_GetSlotList",
    "C_GetTokenInfo",
    "C_GetMechanismList",
    "C_OpenSession",
    "C_CloseSession",
    "C_GetSessionInfo",
    "C_Login",
    "C_FindObjectsInit",
    "C_FindObjects",
    "C_FindObjectsFinal",
    "C_GetAttributeValue",
    "C_CopyObject",
    "C_EncryptInit",
    "C_Encrypt",
    "C_DecryptInit",
    "C_Decrypt",
    "C_SignInit",
    "C_Sign",
    "C_VerifyInit",
    "C_Verify",
    "C_GenerateRandom",
    "C_MessageEncryptInit",
    "C_EncryptMessage",
    "C_MessageDecryptInit",
    "C_DecryptMessage",
};
static_assert(kFunctionNames[static_cast<std::size_t>(Function::kDecryptMessage)] ==
              "C_DecryptMessage");

inline std::string_view NameOf(Function function) {
  return kFunctionNames[static_cast<std::size_t>(function)];
}

}  // namespace keyplane
