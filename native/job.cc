#include "job.h"

#include <pkcs11/pkcs11.h>

#include "cryptoki.h"

namespace keyplane {
namespace {

// What a mechanism takes in a record.
enum class Shape { kUnknown, kPlain, kBlocks, kIv, kGcm, kOaep, kPss };

Shape ShapeOf(std::uint32_t mechanism) {
  switch (mechanism) {
    case CKM_AES_ECB:
      return Shape::kBlocks;
    case CKM_AES_CBC:
    case CKM_AES_CBC_PAD:
      return Shape::kIv;
    case CKM_AES_GCM:
    case kCloudHsmAesGcm:
      return Shape::kGcm;
    case CKM_RSA_PKCS_OAEP:
      return Shape::kOaep;
    case CKM_RSA_PKCS_PSS:
    case CKM_SHA1_RSA_PKCS_PSS:
    case CKM_SHA256_RSA_PKCS_PSS:
    case CKM_SHA384_RSA_PKCS_PSS:
    case CKM_SHA512_RSA_PKCS_PSS:
      return Shape::kPss;
    case CKM_RSA_PKCS:
    case CKM_RSA_X_509:
    case CKM_SHA1_RSA_PKCS:
    case CKM_SHA256_RSA_PKCS:
    case CKM_SHA384_RSA_PKCS:
    case CKM_SHA512_RSA_PKCS:
    case CKM_ECDSA:
    case CKM_ECDSA_SHA1:
    case CKM_ECDSA_SHA256:
    case CKM_ECDSA_SHA384:
    case CKM_ECDSA_SHA512:
    case CKM_SHA_1_HMAC:
    case CKM_SHA256_HMAC:
    case CKM_SHA384_HMAC:
    case CKM_SHA512_HMAC:
      return Shape::kPlain;
    default:
      return Shape::kUnknown;
  }
}

bool CheckGcm(const Arena& arena, const Record& record) {
  if (record.tag_len < 12 || record.tag_len > 16 || record.iv_mode > kMessageHostIv) return false;
  // The IV comes back through the slot, so it must be there in every mode.
  if (record.iv_len == 0 || record.iv_len > 256) return false;
  const bool token_iv =
      record.iv_mode == kTokenIv || record.iv_mode == kTokenPrefix || record.iv_mode == kMessage;
  if (token_iv && record.iv_len != 12) return false;
  if (!arena.Holds(record.iv_offset, record.iv_len)) return false;
  if (record.op == kEncrypt) {
    return record.output_capacity >= std::uint64_t{record.input_len} + record.tag_len;
  }
  return record.input_len >= record.tag_len &&
         record.output_capacity >= record.input_len - record.tag_len;
}

}  // namespace

bool CheckRecord(const Arena& arena, const Record& record) {
  if (record.op < kEncrypt || record.op > kRandom) return false;
  if ((record.flags & ~(kMayRetry | kFixedIv | kWipeInput)) != 0) return false;
  if (record.hash > kSha224 || record.mgf_hash > kSha224) return false;
  if (!arena.Holds(record.input_offset, record.input_len) ||
      !arena.Holds(record.aux_offset, record.aux_len) ||
      !arena.Holds(record.output_offset, record.output_capacity)) {
    return false;
  }
  if (record.op == kRandom) return true;
  const Shape shape = ShapeOf(record.mechanism);
  switch (shape) {
    case Shape::kUnknown:
      return false;
    case Shape::kGcm:
      return (record.op == kEncrypt || record.op == kDecrypt) && CheckGcm(arena, record);
    case Shape::kIv:
      return (record.op == kEncrypt || record.op == kDecrypt) && record.iv_len == 16 &&
             arena.Holds(record.iv_offset, record.iv_len);
    case Shape::kOaep:
      return (record.op == kEncrypt || record.op == kDecrypt) && record.hash != kNoHash &&
             record.mgf_hash != kNoHash;
    case Shape::kPss:
      return (record.op == kSign || record.op == kVerify) && record.hash != kNoHash &&
             record.mgf_hash != kNoHash;
    case Shape::kBlocks:
      return record.op == kEncrypt || record.op == kDecrypt;
    case Shape::kPlain:
      break;
  }
  // An HMAC or an ECDSA mechanism encrypts nothing; a module would say so, but need not be asked.
  const bool raw_rsa = record.mechanism == CKM_RSA_PKCS || record.mechanism == CKM_RSA_X_509;
  return raw_rsa || record.op == kSign || record.op == kVerify;
}

Class ClassOf(const Record& record) {
  if (record.op == kRandom) return kOther;
  switch (record.mechanism) {
    case CKM_AES_ECB:
    case CKM_AES_CBC:
    case CKM_AES_CBC_PAD:
    case CKM_AES_GCM:
    case kCloudHsmAesGcm:
    case CKM_SHA_1_HMAC:
    case CKM_SHA256_HMAC:
    case CKM_SHA384_HMAC:
    case CKM_SHA512_HMAC:
      return kSym;
    case CKM_ECDSA:
    case CKM_ECDSA_SHA1:
    case CKM_ECDSA_SHA256:
    case CKM_ECDSA_SHA384:
    case CKM_ECDSA_SHA512:
      return kEc;
    default:
      return kRsa;
  }
}

}  // namespace keyplane
