#include "arguments.h"

#include <array>
#include <cstring>

namespace keyplane {
namespace {

constexpr double kMaxSafeInteger = 9007199254740991.0;

std::optional<std::string> ToText(const Napi::Value& value) {
  if (!value.IsString()) return {};
  return value.As<Napi::String>().Utf8Value();
}

// Reads a member that may be absent; false when it has another type.
template <typename Value, typename Convert>
bool Read(const Napi::Object& object, const char* name, std::optional<Value>& into,
          Convert convert) {
  const Napi::Value value = object.Get(name);
  if (value.IsEmpty()) return false;
  if (value.IsUndefined()) return true;
  into = convert(value);
  return into.has_value();
}

bool ReadUint32(const Napi::Object& object, const char* name, std::uint32_t& into,
                double least = 0) {
  std::optional<double> number;
  const auto convert = [](const Napi::Value& value) { return ToInteger(value, kMaxUint32); };
  if (!Read(object, name, number, convert)) return false;
  if (number && *number < least) return false;
  if (number) into = static_cast<std::uint32_t>(*number);
  return true;
}

bool ReadBool(const Napi::Object& object, const char* name, bool& into) {
  const Napi::Value value = object.Get(name);
  if (value.IsEmpty() || !(value.IsUndefined() || value.IsBoolean())) return false;
  if (value.IsBoolean()) into = value.As<Napi::Boolean>().Value();
  return true;
}

bool ReadSelector(const Napi::Value& value, TokenSelector& token) {
  if (!value.IsObject()) return false;
  const auto object = value.As<Napi::Object>();
  std::optional<double> slot_id;
  const auto convert = [](const Napi::Value& id) { return ToInteger(id, kMaxSafeInteger); };
  const bool read =
      Read(object, "label", token.label, ToText) && Read(object, "serial", token.serial, ToText) &&
      Read(object, "manufacturer", token.manufacturer, ToText) &&
      Read(object, "model", token.model, ToText) && Read(object, "slotId", slot_id, convert);
  if (slot_id) token.slot_id = static_cast<CK_SLOT_ID>(*slot_id);
  return read;
}

}  // namespace

std::optional<double> ToInteger(const Napi::Value& value, double most) {
  if (!value.IsNumber()) return {};
  const double number = value.As<Napi::Number>().DoubleValue();
  if (!(number >= 0 && number <= most) || std::floor(number) != number) return {};
  return number;
}

std::optional<std::uint32_t> Uint32At(const Napi::CallbackInfo& info, std::size_t index) {
  const auto number = ToInteger(info[index], kMaxUint32);
  if (!number) return {};
  return static_cast<std::uint32_t>(*number);
}

std::optional<Bytes> ToByteVector(const Napi::Value& value) {
  if (!value.IsTypedArray()) return {};
  const auto view = value.As<Napi::TypedArray>();
  if (view.TypedArrayType() != napi_uint8_array) return {};
  const auto bytes = value.As<Napi::Uint8Array>();
  return Bytes(bytes.Data(), bytes.Data() + bytes.ByteLength());
}

std::optional<SecretBytes> ToSecret(const Napi::Value& value) {
  if (!value.IsTypedArray()) return {};
  if (value.As<Napi::TypedArray>().TypedArrayType() != napi_uint8_array) return {};
  const auto bytes = value.As<Napi::Uint8Array>();
  return SecretBytes(bytes.Data(), bytes.ByteLength());
}

std::optional<std::vector<CK_ATTRIBUTE_TYPE>> ToTypes(const Napi::Value& value) {
  if (!value.IsArray()) return {};
  const auto array = value.As<Napi::Array>();
  std::vector<CK_ATTRIBUTE_TYPE> types;
  for (std::uint32_t i = 0; i < array.Length(); ++i) {
    const auto type = ToInteger(array.Get(i), kMaxUint32);
    if (!type) return {};
    types.push_back(static_cast<CK_ATTRIBUTE_TYPE>(*type));
  }
  return types;
}

std::shared_ptr<Template> ToTemplate(const Napi::Value& value) {
  if (!value.IsArray()) return nullptr;
  const auto array = value.As<Napi::Array>();
  auto attributes = std::make_shared<Template>();
  for (std::uint32_t i = 0; i < array.Length(); ++i) {
    const Napi::Value item = array.Get(i);
    if (!item.IsArray() || item.As<Napi::Array>().Length() != 2) return nullptr;
    const auto type = ToInteger(item.As<Napi::Array>().Get(0U), kMaxUint32);
    const auto bytes = ToSecret(item.As<Napi::Array>().Get(1U));
    if (!type || !bytes) return nullptr;
    attributes->Add(static_cast<CK_ATTRIBUTE_TYPE>(*type), bytes->data(), bytes->size());
  }
  return attributes;
}

std::optional<KeyQuery> ToKeyQuery(const Napi::Value& value) {
  if (!value.IsObject()) return {};
  const auto object = value.As<Napi::Object>();
  KeyQuery query;
  std::optional<double> key_type;
  const auto object_class = ToInteger(object.Get("class"), kMaxUint32);
  const auto convert = [](const Napi::Value& type) { return ToInteger(type, kMaxUint32); };
  if (!object_class || !Read(object, "id", query.id, ToByteVector) ||
      !Read(object, "label", query.label, ToByteVector) ||
      !Read(object, "keyType", key_type, convert) ||
      !ReadBool(object, "sessionCopy", query.session_copy)) {
    return {};
  }
  query.object_class = static_cast<CK_OBJECT_CLASS>(*object_class);
  if (key_type) query.key_type = static_cast<CK_KEY_TYPE>(*key_type);
  return query;
}

std::optional<WrapParameter> ToWrapParameter(const Napi::Value& value) {
  WrapParameter parameter;
  if (value.IsNull()) return parameter;
  if (!value.IsObject()) return {};
  const auto object = value.As<Napi::Object>();
  const Napi::Value oaep = object.Get("oaep");
  if (oaep.IsObject()) {
    const auto hash = ToInteger(oaep.As<Napi::Object>().Get("hash"), kSha224);
    const auto mgf_hash = ToInteger(oaep.As<Napi::Object>().Get("mgfHash"), kSha224);
    std::optional<Bytes> label;
    if (!hash || !mgf_hash || *hash == 0 || *mgf_hash == 0 ||
        !Read(oaep.As<Napi::Object>(), "label", label, ToByteVector)) {
      return {};
    }
    parameter.kind = WrapParameter::Kind::kOaep;
    parameter.hash = static_cast<std::uint8_t>(*hash);
    parameter.mgf_hash = static_cast<std::uint8_t>(*mgf_hash);
    if (label) parameter.bytes = std::move(*label);
    return parameter;
  }
  auto iv = ToByteVector(object.Get("iv"));
  if (!iv) return {};
  parameter.kind = WrapParameter::Kind::kIv;
  parameter.bytes = std::move(*iv);
  return parameter;
}

std::optional<ModuleOptions> ToModuleOptions(const Napi::Value& value) {
  ModuleOptions options;
  if (value.IsUndefined()) return options;
  if (!value.IsObject()) return {};
  const auto object = value.As<Napi::Object>();
  std::optional<std::string> init_args;
  if (!Read(object, "initArgs", init_args, ToText) ||
      !ReadBool(object, "deepbind", options.deepbind)) {
    return {};
  }
  if (init_args) options.init_args = std::move(*init_args);
  return options;
}

bool ReadLimits(const Napi::Value& value, const std::function<void(Class, Limits)>& take) {
  if (value.IsUndefined()) return true;
  if (!value.IsObject()) return false;
  static constexpr std::array<const char*, kNumClasses> kNames = {"sym", "ec", "rsa", "other"};
  for (std::size_t i = 0; i < kNumClasses; ++i) {
    const Napi::Value given = value.As<Napi::Object>().Get(kNames[i]);
    if (given.IsUndefined()) continue;
    if (!given.IsObject()) return false;
    Limits limits;
    if (!ReadUint32(given.As<Napi::Object>(), "min", limits.min, 1) ||
        !ReadUint32(given.As<Napi::Object>(), "max", limits.max, 1) || limits.max < limits.min) {
      return false;
    }
    take(static_cast<Class>(i), limits);
  }
  return true;
}

std::optional<PoolOptions> ToPoolOptions(const Napi::Value& value) {
  if (!value.IsObject()) return {};
  const auto object = value.As<Napi::Object>();
  PoolOptions options;
  auto library = ToText(object.Get("library"));
  auto module = ToModuleOptions(value);
  std::uint32_t queue_bytes = 64 << 20;
  if (!library || library->empty() || library->find('\0') != std::string::npos || !module ||
      !ReadSelector(object.Get("token"), options.token) ||
      !ReadUint32(object, "minSessions", options.min_sessions) ||
      !ReadUint32(object, "maxSessions", options.max_sessions, 1) ||
      !ReadUint32(object, "queueRecords", options.queue_records, 1) ||
      !ReadUint32(object, "queueBytes", queue_bytes, 1) ||
      !ReadUint32(object, "maxZombies", options.max_zombies) ||
      !ReadUint32(object, "maxChunk", options.max_chunk, 1) ||
      !ReadUint32(object, "discoverMs", options.discover_ms) ||
      !ReadUint32(object, "recoveryMs", options.recovery_ms, 1) ||
      !ReadUint32(object, "taskMs", options.task_ms, 1) ||
      !ReadUint32(object, "clockStartMs", options.clock_start_ms) ||
      !ReadLimits(object.Get("limits"),
                  [&](Class job_class, Limits limits) { options.limits[job_class] = limits; })) {
    return {};
  }
  if (options.max_sessions > 4096 || options.min_sessions > options.max_sessions) return {};
  options.library = std::move(*library);
  options.module = std::move(*module);
  options.queue_bytes = queue_bytes;
  return options;
}

std::optional<InitTokenRequest> ToInitToken(const Napi::Value& value) {
  if (!value.IsObject()) return {};
  const auto object = value.As<Napi::Object>();
  InitTokenRequest request;
  auto library = ToText(object.Get("library"));
  auto module = ToModuleOptions(value);
  const auto slot_id = ToInteger(object.Get("slotId"), kMaxSafeInteger);
  auto label = ToText(object.Get("label"));
  auto so_pin = ToSecret(object.Get("soPin"));
  auto user_pin = ToSecret(object.Get("userPin"));
  if (!library || library->empty() || library->find('\0') != std::string::npos || !module ||
      !slot_id || !label || label->size() > 32 || !so_pin || !user_pin) {
    return {};
  }
  request.library = std::move(*library);
  request.module = std::move(*module);
  request.slot_id = static_cast<CK_SLOT_ID>(*slot_id);
  request.label = std::move(*label);
  request.so_pin = std::move(*so_pin);
  request.user_pin = std::move(*user_pin);
  return request;
}

void ThrowType(Napi::Env env, const char* message) {
  Napi::TypeError::New(env, message).ThrowAsJavaScriptException();
}

}  // namespace keyplane
