// Objects of a token: finding them, reading, making and destroying them. Everything runs on the
// lane and throws ModuleError. Handles live no longer than one call of these functions, except
// those of keys, which belong to a login epoch.

#pragma once

#include <pkcs11/pkcs11.h>

#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "key.h"
#include "pool.h"
#include "secret_bytes.h"

namespace keyplane {

// Attribute types and values. Values may be key material, so they are wiped.
class Template {
 public:
  void Add(CK_ATTRIBUTE_TYPE type, const void* value, std::size_t len);
  void AddBool(CK_ATTRIBUTE_TYPE type, bool value);
  void AddUlong(CK_ATTRIBUTE_TYPE type, CK_ULONG value);
  bool Has(CK_ATTRIBUTE_TYPE type) const;

  // Valid until the template changes.
  CK_ATTRIBUTE* data();
  CK_ULONG size() const { return static_cast<CK_ULONG>(items_.size()); }

 private:
  std::vector<std::pair<CK_ATTRIBUTE_TYPE, SecretBytes>> items_;
  std::vector<CK_ATTRIBUTE> attributes_;
};

using Bytes = std::vector<std::uint8_t>;
using AttributeRow = std::vector<std::optional<Bytes>>;

struct WrapParameter {
  enum class Kind { kNone, kOaep, kIv } kind = Kind::kNone;
  std::uint8_t hash = 0;
  std::uint8_t mgf_hash = 0;
  // The label of OAEP or the IV of an AES key wrap.
  Bytes bytes;
};

std::vector<CK_OBJECT_HANDLE> FindObjects(LaneTools& tools, Template& match, std::size_t max);
// Attributes that the token does not tell are empty.
AttributeRow ReadAttributes(LaneTools& tools, CK_OBJECT_HANDLE object,
                            const std::vector<CK_ATTRIBUTE_TYPE>& types);

// What a token says of a key.
struct FoundKey {
  // Of the token's object, and the one to use, which is that of a session copy if there is one.
  CK_OBJECT_HANDLE object;
  CK_OBJECT_HANDLE handle;
  bool copied;
  Bytes id;
  CK_KEY_TYPE type;
  std::uint32_t modulus_len;
  bool always_authenticate;

  // Call with the lock of the pool, and only as long as the lane that found it is its own.
  void WriteTo(Key& key) const;
};

// Finds the one object that a key means, and copies it if asked for.
FoundKey LoadKey(LaneTools& tools, const Key& key);

void GenerateKey(LaneTools& tools, CK_MECHANISM_TYPE mechanism, Template& attributes);
void GenerateKeyPair(LaneTools& tools, CK_MECHANISM_TYPE mechanism, Template& public_attributes,
                     Template& private_attributes);
void CreateObject(LaneTools& tools, Template& attributes);
std::size_t SetAttributes(LaneTools& tools, Template& match, Template& attributes);
// Adds the handles of what was destroyed, before it throws too.
void DestroyObjects(LaneTools& tools, Template& match, std::vector<CK_OBJECT_HANDLE>& destroyed);
// Destroys the session copy of a key, if its handle still is that.
void DestroyCopy(LaneTools& tools, const Key& key);
Bytes WrapKey(LaneTools& tools, CK_MECHANISM_TYPE mechanism, WrapParameter& parameter,
              const Key& wrapping_key, const Key& key);
void UnwrapKey(LaneTools& tools, CK_MECHANISM_TYPE mechanism, WrapParameter& parameter,
               const Key& unwrapping_key, Bytes& wrapped, Template& attributes);

struct InitTokenRequest {
  std::string library;
  ModuleOptions module;
  CK_SLOT_ID slot_id = 0;
  std::string label;
  SecretBytes so_pin;
  SecretBytes user_pin;
};

// Erases a token and gives it a label and a user PIN.
void InitToken(InitTokenRequest& request);

}  // namespace keyplane
