#include "values.h"

#include <cstring>
#include <string_view>

#include "error.h"

namespace keyplane {
namespace {

napi_value Undefined(napi_env env) {
  napi_value value = nullptr;
  napi_get_undefined(env, &value);
  return value;
}

napi_value Text(napi_env env, std::string_view text) {
  napi_value value = nullptr;
  napi_create_string_utf8(env, text.data(), text.size(), &value);
  return value;
}

napi_value Bool(napi_env env, bool truth) {
  napi_value value = nullptr;
  napi_get_boolean(env, truth, &value);
  return value;
}

napi_value Object(napi_env env) {
  napi_value value = nullptr;
  napi_create_object(env, &value);
  return value;
}

void Set(napi_env env, napi_value object, const char* name, napi_value value) {
  if (object != nullptr && value != nullptr) napi_set_named_property(env, object, name, value);
}

template <typename Item, typename Make>
napi_value List(napi_env env, const std::vector<Item>& items, Make make) {
  napi_value list = nullptr;
  napi_create_array_with_length(env, items.size(), &list);
  for (std::size_t i = 0; list != nullptr && i < items.size(); ++i) {
    napi_value item = make(items[i]);
    if (item != nullptr) napi_set_element(env, list, static_cast<std::uint32_t>(i), item);
  }
  return list;
}

napi_value Version(napi_env env, const CK_VERSION& version) {
  napi_value object = Object(env);
  Set(env, object, "major", ToNumber(env, version.major));
  Set(env, object, "minor", ToNumber(env, version.minor));
  return object;
}

napi_value Row(napi_env env, const AttributeRow& row) {
  return List(env, row, [&](const std::optional<Bytes>& value) {
    return value ? ToBytes(env, *value) : Undefined(env);
  });
}

}  // namespace

napi_value ToNumber(napi_env env, double number) {
  napi_value value = nullptr;
  napi_create_double(env, number, &value);
  return value;
}

napi_value ToBytes(napi_env env, const Bytes& bytes) {
  void* data = nullptr;
  napi_value buffer = nullptr;
  napi_value view = nullptr;
  if (napi_create_arraybuffer(env, bytes.size(), &data, &buffer) != napi_ok) return nullptr;
  if (!bytes.empty()) std::memcpy(data, bytes.data(), bytes.size());
  napi_create_typedarray(env, napi_uint8_array, bytes.size(), buffer, 0, &view);
  return view;
}

void RejectWith(napi_env env, napi_deferred deferred, const Failure& failure) {
  napi_value error = nullptr;
  if (napi_create_error(env, nullptr, Text(env, failure.message), &error) != napi_ok) return;
  if (failure.ckr) {
    Set(env, error, "ckr", ToNumber(env, static_cast<double>(*failure.ckr)));
    const std::string_view name = CkrName(*failure.ckr);
    if (!name.empty()) Set(env, error, "ckrName", Text(env, name));
  }
  if (!failure.function.empty()) Set(env, error, "fn", Text(env, failure.function));
  if (!failure.reason.empty()) Set(env, error, "reason", Text(env, failure.reason));
  napi_reject_deferred(env, deferred, error);
}

napi_value ToResolvedKey(napi_env env, const Key& key, const AttributeRow& row) {
  napi_value object = Object(env);
  Set(env, object, "ref", ToNumber(env, key.ref));
  Set(env, object, "sessionCopy", Bool(env, key.copied));
  Set(env, object, "class", ToNumber(env, static_cast<double>(key.query.object_class)));
  Set(env, object, "keyType", ToNumber(env, static_cast<double>(key.type)));
  Set(env, object, "attributes", Row(env, row));
  return object;
}

napi_value ToRows(napi_env env, const std::vector<AttributeRow>& rows) {
  return List(env, rows, [&](const AttributeRow& row) { return Row(env, row); });
}

napi_value ToToken(napi_env env, const TokenInfo& token) {
  napi_value object = Object(env);
  Set(env, object, "slotId", ToNumber(env, static_cast<double>(token.slot_id)));
  Set(env, object, "tokenLabel", Text(env, token.label));
  Set(env, object, "manufacturer", Text(env, token.manufacturer));
  Set(env, object, "model", Text(env, token.model));
  Set(env, object, "serial", Text(env, token.serial));
  Set(env, object, "flags", ToNumber(env, static_cast<double>(token.flags)));
  Set(env, object, "mechanisms", List(env, token.mechanisms, [&](CK_MECHANISM_TYPE type) {
        return ToNumber(env, static_cast<double>(type));
      }));
  return object;
}

napi_value ToPoolToken(napi_env env, const PoolToken& token) {
  napi_value object = ToToken(env, token.token);
  Set(env, object, "cryptokiVersion", Version(env, token.cryptoki_version));
  Set(env, object, "moduleManufacturer", Text(env, token.module_manufacturer));
  Set(env, object, "messageApi", Bool(env, token.message_api));
  Set(env, object, "protectedAuthenticationPath",
      Bool(env, (token.token.flags & CKF_PROTECTED_AUTHENTICATION_PATH) != 0));
  return object;
}

napi_value ToModule(napi_env env, const ModuleInfo& module) {
  napi_value object = Object(env);
  Set(env, object, "cryptokiVersion", Version(env, module.cryptoki_version));
  Set(env, object, "manufacturer", Text(env, module.manufacturer));
  Set(env, object, "description", Text(env, module.description));
  Set(env, object, "libraryVersion", Version(env, module.library_version));
  Set(env, object, "slots",
      List(env, module.slots, [&](const TokenInfo& token) { return ToToken(env, token); }));
  return object;
}

napi_value ToMechanisms(napi_env env, const std::vector<MechanismInfo>& mechanisms) {
  return List(env, mechanisms, [&](const MechanismInfo& mechanism) {
    napi_value object = Object(env);
    Set(env, object, "type", ToNumber(env, static_cast<double>(mechanism.type)));
    Set(env, object, "minKeySize", ToNumber(env, static_cast<double>(mechanism.info.ulMinKeySize)));
    Set(env, object, "maxKeySize", ToNumber(env, static_cast<double>(mechanism.info.ulMaxKeySize)));
    Set(env, object, "flags", ToNumber(env, static_cast<double>(mechanism.info.flags)));
    return object;
  });
}

}  // namespace keyplane
