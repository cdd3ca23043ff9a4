// What PKCS #11 3.0 adds to the headers of 2.40: its function list, as far as it is used here, and
// the parameters of the message functions.

#pragma once

#include <pkcs11/pkcs11.h>

#include <cstddef>

namespace keyplane {

// CK_INTERFACE (3.0, 3.7).
struct Interface {
  const char* name;
  CK_FUNCTION_LIST* functions;
  CK_FLAGS flags;
};
using GetInterfaceList = CK_RV (*)(Interface* interfaces, CK_ULONG* count);

using MessageInit = CK_RV (*)(CK_SESSION_HANDLE session, CK_MECHANISM* mechanism,
                              CK_OBJECT_HANDLE key);
using MessageCrypt = CK_RV (*)(CK_SESSION_HANDLE session, void* parameter, CK_ULONG parameter_len,
                               CK_BYTE* aad, CK_ULONG aad_len, CK_BYTE* input, CK_ULONG input_len,
                               CK_BYTE* output, CK_ULONG* output_len);
using MessageFinal = CK_RV (*)(CK_SESSION_HANDLE session);

// CK_FUNCTION_LIST_3_0 (3.0, 3.6) up to C_MessageDecryptFinal; what follows is not used here.
struct FunctionList3 {
  CK_FUNCTION_LIST base;
  void* C_GetInterfaceList;
  void* C_GetInterface;
  void* C_LoginUser;
  void* C_SessionCancel;
  MessageInit C_MessageEncryptInit;
  MessageCrypt C_EncryptMessage;
  void* C_EncryptMessageBegin;
  void* C_EncryptMessageNext;
  MessageFinal C_MessageEncryptFinal;
  MessageInit C_MessageDecryptInit;
  MessageCrypt C_DecryptMessage;
  void* C_DecryptMessageBegin;
  void* C_DecryptMessageNext;
  MessageFinal C_MessageDecryptFinal;
};

// CK_GCM_MESSAGE_PARAMS (3.0, 6.10.3.4 of the mechanisms).
struct GcmMessageParameters {
  CK_BYTE* iv;
  CK_ULONG iv_len;
  CK_ULONG iv_fixed_bits;
  CK_ULONG iv_generator;
  CK_BYTE* tag;
  CK_ULONG tag_bits;
};

constexpr CK_ULONG kNoGenerate = 0;      // CKG_NO_GENERATE
constexpr CK_ULONG kGenerateRandom = 3;  // CKG_GENERATE_RANDOM

// CK_GCM_PARAMS as some libraries still have it, without ulIvBits.
struct ShortGcmParameters {
  CK_BYTE* iv;
  CK_ULONG iv_len;
  CK_BYTE* aad;
  CK_ULONG aad_len;
  CK_ULONG tag_bits;
};

// CKM_CLOUDHSM_AES_GCM: the token makes the IV and puts it in front of the ciphertext.
constexpr CK_MECHANISM_TYPE kCloudHsmAesGcm = CKM_VENDOR_DEFINED | CKM_AES_GCM;
constexpr CK_ULONG kUnavailable = ~CK_ULONG{0};  // CK_UNAVAILABLE_INFORMATION

// States of a session in which private keys can be used.
constexpr bool IsUserState(CK_STATE state) {
  return state == CKS_RO_USER_FUNCTIONS || state == CKS_RW_USER_FUNCTIONS;
}

}  // namespace keyplane
