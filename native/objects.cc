#include "objects.h"

#include <algorithm>
#include <cstring>

#include "error.h"

namespace keyplane {
namespace {

constexpr std::size_t kMaxObjects = 65'536;
constexpr CK_ULONG kFindChunk = 256;
constexpr CK_ULONG kMaxAttributeLen = 1 << 20;
constexpr std::size_t kMaxWrappedLen = 1 << 16;

// Ends a search whatever happens: a session with one active refuses the next.
class Search {
 public:
  Search(const CK_FUNCTION_LIST& functions, CK_SESSION_HANDLE session, Template& match)
      : functions_(functions), session_(session) {
    Check("C_FindObjectsInit", functions.C_FindObjectsInit(session, match.data(), match.size()));
  }
  ~Search() { functions_.C_FindObjectsFinal(session_); }
  Search(const Search&) = delete;
  Search& operator=(const Search&) = delete;

 private:
  const CK_FUNCTION_LIST& functions_;
  CK_SESSION_HANDLE session_;
};

CK_ULONG ToUlong(const std::optional<Bytes>& value, CK_ULONG otherwise) {
  CK_ULONG number = otherwise;
  if (value && value->size() == sizeof number) std::memcpy(&number, value->data(), sizeof number);
  return number;
}

bool IsTrue(const std::optional<Bytes>& value) {
  return value && !value->empty() && value->front() != CK_FALSE;
}

Template MatchOf(const KeyQuery& query) {
  Template match;
  match.AddUlong(CKA_CLASS, query.object_class);
  if (query.id) match.Add(CKA_ID, query.id->data(), query.id->size());
  if (query.label) match.Add(CKA_LABEL, query.label->data(), query.label->size());
  if (query.key_type) match.AddUlong(CKA_KEY_TYPE, *query.key_type);
  return match;
}

CK_OBJECT_HANDLE FindOne(LaneTools& tools, const KeyQuery& query) {
  // A session copy has the same name as its key, so token objects come first.
  Template match = MatchOf(query);
  match.AddBool(CKA_TOKEN, true);
  auto found = FindObjects(tools, match, 2);
  if (found.empty()) {
    match = MatchOf(query);
    found = FindObjects(tools, match, 2);
  }
  if (found.empty()) throw ModuleError("The token has no such key", "key-not-found");
  if (found.size() > 1) throw ModuleError("The token has more than one such key", "key-ambiguous");
  return found.front();
}

CK_MECHANISM WrapMechanism(CK_MECHANISM_TYPE type, WrapParameter& parameter,
                           CK_RSA_PKCS_OAEP_PARAMS& oaep) {
  static constexpr CK_MECHANISM_TYPE kHashes[] = {0,          CKM_SHA_1,  CKM_SHA256,
                                                  CKM_SHA384, CKM_SHA512, CKM_SHA224};
  static constexpr CK_RSA_PKCS_MGF_TYPE kMgfs[] = {
      0, CKG_MGF1_SHA1, CKG_MGF1_SHA256, CKG_MGF1_SHA384, CKG_MGF1_SHA512, CKG_MGF1_SHA224};
  CK_BYTE* bytes = parameter.bytes.empty() ? nullptr : parameter.bytes.data();
  switch (parameter.kind) {
    case WrapParameter::Kind::kOaep:
      oaep = {kHashes[parameter.hash], kMgfs[parameter.mgf_hash], CKZ_DATA_SPECIFIED, bytes,
              parameter.bytes.size()};
      return {type, &oaep, sizeof oaep};
    case WrapParameter::Kind::kIv:
      return {type, bytes, parameter.bytes.size()};
    case WrapParameter::Kind::kNone:
      break;
  }
  return {type, nullptr, 0};
}

CK_OBJECT_HANDLE HandleOf(const LaneTools& tools, const Key& key) {
  if (key.lost || key.epoch != tools.epoch) {
    throw ModuleError("The token has no such key", "key-not-found");
  }
  return key.handle;
}

}  // namespace

void Template::Add(CK_ATTRIBUTE_TYPE type, const void* value, std::size_t len) {
  items_.emplace_back(type, SecretBytes(static_cast<const std::uint8_t*>(value), len));
}

void Template::AddBool(CK_ATTRIBUTE_TYPE type, bool value) {
  const CK_BBOOL byte = value ? CK_TRUE : CK_FALSE;
  Add(type, &byte, sizeof byte);
}

void Template::AddUlong(CK_ATTRIBUTE_TYPE type, CK_ULONG value) { Add(type, &value, sizeof value); }

bool Template::Has(CK_ATTRIBUTE_TYPE type) const {
  return std::any_of(items_.begin(), items_.end(),
                     [&](const auto& item) { return item.first == type; });
}

CK_ATTRIBUTE* Template::data() {
  attributes_.clear();
  for (auto& [type, value] : items_) attributes_.push_back({type, value.data(), value.size()});
  return attributes_.data();
}

std::vector<CK_OBJECT_HANDLE> FindObjects(LaneTools& tools, Template& match, std::size_t max) {
  max = std::min(max, kMaxObjects);
  std::vector<CK_OBJECT_HANDLE> found;
  const Search search(tools.functions, tools.session, match);
  while (found.size() < max) {
    CK_OBJECT_HANDLE chunk[kFindChunk];
    const CK_ULONG room = std::min<CK_ULONG>(kFindChunk, max - found.size());
    CK_ULONG count = 0;
    Check("C_FindObjects", tools.functions.C_FindObjects(tools.session, chunk, room, &count));
    if (count > room)
      throw ModuleError("C_FindObjects found more than there was room", "bad-answer");
    if (count == 0) break;
    found.insert(found.end(), chunk, chunk + count);
  }
  return found;
}

AttributeRow ReadAttributes(LaneTools& tools, CK_OBJECT_HANDLE object,
                            const std::vector<CK_ATTRIBUTE_TYPE>& types) {
  AttributeRow row;
  // One by one: what a module does with a list of which it can't tell all differs.
  for (const CK_ATTRIBUTE_TYPE type : types) {
    CK_ATTRIBUTE attribute{type, nullptr, 0};
    CK_RV ckr = tools.functions.C_GetAttributeValue(tools.session, object, &attribute, 1);
    const bool told = ckr == CKR_OK && attribute.ulValueLen <= kMaxAttributeLen;
    if (ckr == CKR_ATTRIBUTE_TYPE_INVALID || ckr == CKR_ATTRIBUTE_SENSITIVE ||
        (ckr == CKR_OK && !told)) {
      row.emplace_back();
      continue;
    }
    Check("C_GetAttributeValue", ckr);
    Bytes value(attribute.ulValueLen);
    if (!value.empty()) {
      attribute.pValue = value.data();
      ckr = tools.functions.C_GetAttributeValue(tools.session, object, &attribute, 1);
      Check("C_GetAttributeValue", ckr);
      if (attribute.ulValueLen > value.size()) {
        throw ModuleError("C_GetAttributeValue wrote more than it announced", "bad-answer");
      }
      value.resize(attribute.ulValueLen);
    }
    row.emplace_back(std::move(value));
  }
  return row;
}

FoundKey LoadKey(LaneTools& tools, const Key& key) {
  const CK_OBJECT_HANDLE object = FindOne(tools, key.query);
  const AttributeRow row = ReadAttributes(
      tools, object, {CKA_CLASS, CKA_ID, CKA_KEY_TYPE, CKA_MODULUS, CKA_ALWAYS_AUTHENTICATE});
  // A module that finds something else must not make us use another key.
  const bool same = ToUlong(row[0], ~key.query.object_class) == key.query.object_class &&
                    (!key.query.id || row[1] == key.query.id);
  if (!same) throw ModuleError("C_FindObjects found another object", "bad-answer");
  const CK_KEY_TYPE type = ToUlong(row[2], CKK_VENDOR_DEFINED);
  if (key.ref != 0 && type != key.type) {
    throw ModuleError("The key has become one of another type", "key-not-found");
  }
  FoundKey found{.object = object,
                 .handle = object,
                 .copied = false,
                 .id = row[1].value_or(Bytes()),
                 .type = type,
                 .modulus_len = row[3] ? static_cast<std::uint32_t>(row[3]->size()) : 0,
                 .always_authenticate = IsTrue(row[4])};
  if (key.query.session_copy) {
    Template change;
    change.AddBool(CKA_TOKEN, false);
    CK_OBJECT_HANDLE copy = 0;
    const CK_RV ckr =
        tools.functions.C_CopyObject(tools.session, object, change.data(), change.size(), &copy);
    if (ckr == CKR_OK) {
      found.handle = copy;
      found.copied = true;
    }
  }
  return found;
}

void FoundKey::WriteTo(Key& key) const {
  if (key.ref == 0) key.found_id = id;
  key.type = type;
  key.modulus_len = modulus_len;
  key.always_authenticate = always_authenticate;
  key.handle = handle;
  key.copied = copied;
}

void GenerateKey(LaneTools& tools, CK_MECHANISM_TYPE mechanism, Template& attributes) {
  CK_MECHANISM plain{mechanism, nullptr, 0};
  CK_OBJECT_HANDLE made = 0;
  Check("C_GenerateKey", tools.functions.C_GenerateKey(tools.session, &plain, attributes.data(),
                                                       attributes.size(), &made));
}

void GenerateKeyPair(LaneTools& tools, CK_MECHANISM_TYPE mechanism, Template& public_attributes,
                     Template& private_attributes) {
  CK_MECHANISM plain{mechanism, nullptr, 0};
  CK_OBJECT_HANDLE made_public = 0;
  CK_OBJECT_HANDLE made_private = 0;
  Check("C_GenerateKeyPair",
        tools.functions.C_GenerateKeyPair(tools.session, &plain, public_attributes.data(),
                                          public_attributes.size(), private_attributes.data(),
                                          private_attributes.size(), &made_public, &made_private));
}

void CreateObject(LaneTools& tools, Template& attributes) {
  CK_OBJECT_HANDLE made = 0;
  Check("C_CreateObject",
        tools.functions.C_CreateObject(tools.session, attributes.data(), attributes.size(), &made));
}

std::size_t SetAttributes(LaneTools& tools, Template& match, Template& attributes) {
  const auto found = FindObjects(tools, match, kMaxObjects);
  for (const CK_OBJECT_HANDLE object : found) {
    Check("C_SetAttributeValue", tools.functions.C_SetAttributeValue(
                                     tools.session, object, attributes.data(), attributes.size()));
  }
  return found.size();
}

void DestroyObjects(LaneTools& tools, Template& match, std::vector<CK_OBJECT_HANDLE>& destroyed) {
  if (!match.Has(CKA_ID) && !match.Has(CKA_LABEL)) {
    throw ModuleError("What is destroyed must be named by CKA_ID or CKA_LABEL", "bad-argument");
  }
  const auto found = FindObjects(tools, match, kMaxObjects);
  for (const CK_OBJECT_HANDLE object : found) {
    Check("C_DestroyObject", tools.functions.C_DestroyObject(tools.session, object));
    destroyed.push_back(object);
  }
}

void DestroyCopy(LaneTools& tools, const Key& key) {
  try {
    const AttributeRow row = ReadAttributes(tools, key.handle, {CKA_TOKEN, CKA_CLASS, CKA_ID});
    const bool same = row[0] && !row[0]->empty() && !IsTrue(row[0]) &&
                      ToUlong(row[1], ~key.query.object_class) == key.query.object_class &&
                      row[2].value_or(Bytes()) == key.found_id;
    if (same) tools.functions.C_DestroyObject(tools.session, key.handle);
  } catch (const ModuleError&) {
    // It is gone, or goes with its session.
  }
}

Bytes WrapKey(LaneTools& tools, CK_MECHANISM_TYPE mechanism, WrapParameter& parameter,
              const Key& wrapping_key, const Key& key) {
  CK_RSA_PKCS_OAEP_PARAMS oaep{};
  CK_MECHANISM with = WrapMechanism(mechanism, parameter, oaep);
  Bytes wrapped(kMaxWrappedLen);
  CK_ULONG len = wrapped.size();
  Check("C_WrapKey", tools.functions.C_WrapKey(tools.session, &with, HandleOf(tools, wrapping_key),
                                               HandleOf(tools, key), wrapped.data(), &len));
  if (len == 0 || len > wrapped.size()) {
    throw ModuleError("C_WrapKey gave an impossible length", "bad-answer");
  }
  wrapped.resize(len);
  return wrapped;
}

void UnwrapKey(LaneTools& tools, CK_MECHANISM_TYPE mechanism, WrapParameter& parameter,
               const Key& unwrapping_key, Bytes& wrapped, Template& attributes) {
  CK_RSA_PKCS_OAEP_PARAMS oaep{};
  CK_MECHANISM with = WrapMechanism(mechanism, parameter, oaep);
  CK_OBJECT_HANDLE made = 0;
  Check("C_UnwrapKey", tools.functions.C_UnwrapKey(
                           tools.session, &with, HandleOf(tools, unwrapping_key), wrapped.data(),
                           wrapped.size(), attributes.data(), attributes.size(), &made));
}

void InitToken(InitTokenRequest& request) {
  ModuleUse use(request.library, request.module);
  const CK_FUNCTION_LIST& functions = *use.module().functions();
  CK_UTF8CHAR label[32];
  std::memset(label, ' ', sizeof label);
  std::memcpy(label, request.label.data(), std::min(request.label.size(), sizeof label));
  Check("C_InitToken", functions.C_InitToken(request.slot_id, request.so_pin.data(),
                                             request.so_pin.size(), label));
  CK_SESSION_HANDLE session = 0;
  Check("C_OpenSession",
        functions.C_OpenSession(request.slot_id, CKF_SERIAL_SESSION | CKF_RW_SESSION, nullptr,
                                nullptr, &session));
  CK_RV ckr = functions.C_Login(session, CKU_SO, request.so_pin.data(), request.so_pin.size());
  const char* function = "C_Login";
  if (ckr == CKR_OK) {
    function = "C_InitPIN";
    ckr = functions.C_InitPIN(session, request.user_pin.data(), request.user_pin.size());
    functions.C_Logout(session);
  }
  functions.C_CloseSession(session);
  Check(function, ckr);
  use.Finish();
}

}  // namespace keyplane
