// The mechanism of a record and its parameters, as the module wants them.

#pragma once

#include <pkcs11/pkcs11.h>

#include "arena.h"
#include "cryptoki.h"
#include "record.h"

namespace keyplane {

// The parameters of a mechanism. Must live until the final call: some modules write to the IV then.
union Parameters {
  CK_GCM_PARAMS gcm;
  ShortGcmParameters short_gcm;
  CK_RSA_PKCS_OAEP_PARAMS oaep;
  CK_RSA_PKCS_PSS_PARAMS pss;
};

// Points into the arena and to `parameters`. `short_gcm`: the module takes CK_GCM_PARAMS without
// ulIvBits.
CK_MECHANISM MakeMechanism(const Record& record, Arena& arena, bool short_gcm,
                           Parameters& parameters);

bool IsGcm(const Record& record);

// Returns where a range of the arena begins; never null, which some modules take as a question for
// the length, or as an error.
CK_BYTE* At(Arena& arena, std::uint32_t offset, std::uint32_t len);

}  // namespace keyplane
