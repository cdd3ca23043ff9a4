#include "mechanism.h"

namespace keyplane {
namespace {

CK_MECHANISM_TYPE HashMechanism(std::uint8_t hash) {
  static constexpr CK_MECHANISM_TYPE kMechanisms[] = {0,          CKM_SHA_1,  CKM_SHA256,
                                                      CKM_SHA384, CKM_SHA512, CKM_SHA224};
  return kMechanisms[hash];
}

CK_RSA_PKCS_MGF_TYPE MgfOf(std::uint8_t hash) {
  static constexpr CK_RSA_PKCS_MGF_TYPE kMgfs[] = {
      0, CKG_MGF1_SHA1, CKG_MGF1_SHA256, CKG_MGF1_SHA384, CKG_MGF1_SHA512, CKG_MGF1_SHA224};
  return kMgfs[hash];
}

}  // namespace

CK_BYTE* At(Arena& arena, std::uint32_t offset, std::uint32_t len) {
  static CK_BYTE nothing[1];
  return len == 0 ? nothing : arena.bytes() + offset;
}

bool IsGcm(const Record& record) {
  return record.op != kRandom &&
         (record.mechanism == CKM_AES_GCM || record.mechanism == kCloudHsmAesGcm);
}

CK_MECHANISM MakeMechanism(const Record& record, Arena& arena, bool short_gcm,
                           Parameters& parameters) {
  CK_MECHANISM mechanism{record.mechanism, nullptr, 0};
  switch (record.mechanism) {
    case CKM_AES_CBC:
    case CKM_AES_CBC_PAD:
      mechanism.pParameter = At(arena, record.iv_offset, record.iv_len);
      mechanism.ulParameterLen = record.iv_len;
      break;
    case CKM_AES_GCM:
    case kCloudHsmAesGcm: {
      CK_BYTE* iv = At(arena, record.iv_offset, record.iv_len);
      CK_ULONG iv_len = record.iv_len;
      if (record.iv_mode == kTokenPrefix) {
        iv = nullptr;
        iv_len = 0;
      }
      CK_BYTE* aad = record.aux_len == 0 ? nullptr : arena.bytes() + record.aux_offset;
      const CK_ULONG tag_bits = CK_ULONG{record.tag_len} * 8;
      mechanism.pParameter = &parameters;
      if (short_gcm) {
        parameters.short_gcm = {iv, iv_len, aad, record.aux_len, tag_bits};
        mechanism.ulParameterLen = sizeof parameters.short_gcm;
      } else {
        parameters.gcm = {iv, iv_len, iv_len * 8, aad, record.aux_len, tag_bits};
        mechanism.ulParameterLen = sizeof parameters.gcm;
      }
      break;
    }
    case CKM_RSA_PKCS_OAEP:
      parameters.oaep = {HashMechanism(record.hash), MgfOf(record.mgf_hash), CKZ_DATA_SPECIFIED,
                         record.aux_len == 0 ? nullptr : arena.bytes() + record.aux_offset,
                         record.aux_len};
      mechanism.pParameter = &parameters;
      mechanism.ulParameterLen = sizeof parameters.oaep;
      break;
    case CKM_RSA_PKCS_PSS:
    case CKM_SHA1_RSA_PKCS_PSS:
    case CKM_SHA256_RSA_PKCS_PSS:
    case CKM_SHA384_RSA_PKCS_PSS:
    case CKM_SHA512_RSA_PKCS_PSS:
      parameters.pss = {HashMechanism(record.hash), MgfOf(record.mgf_hash), record.salt_len};
      mechanism.pParameter = &parameters;
      mechanism.ulParameterLen = sizeof parameters.pss;
      break;
    default:
      break;
  }
  return mechanism;
}

}  // namespace keyplane
