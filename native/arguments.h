// Values of JavaScript as the pool wants them. Each returns nothing when the value has another
// type; an accessor that throws counts as that.

#pragma once

#include <napi.h>

#include <cmath>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "objects.h"

namespace keyplane {

constexpr double kMaxUint32 = 4294967295.0;

std::optional<double> ToInteger(const Napi::Value& value, double most);
std::optional<std::uint32_t> Uint32At(const Napi::CallbackInfo& info, std::size_t index);
std::optional<Bytes> ToByteVector(const Napi::Value& value);
std::optional<SecretBytes> ToSecret(const Napi::Value& value);
std::optional<std::vector<CK_ATTRIBUTE_TYPE>> ToTypes(const Napi::Value& value);
// Shared, because work that is queued must be copyable.
std::shared_ptr<Template> ToTemplate(const Napi::Value& value);
std::optional<KeyQuery> ToKeyQuery(const Napi::Value& value);
std::optional<WrapParameter> ToWrapParameter(const Napi::Value& value);
// Reads initArgs and deepbind of an object.
std::optional<ModuleOptions> ToModuleOptions(const Napi::Value& value);
std::optional<PoolOptions> ToPoolOptions(const Napi::Value& value);
std::optional<InitTokenRequest> ToInitToken(const Napi::Value& value);
// Calls `take` with each class that the object has limits for; false if one is not sane.
bool ReadLimits(const Napi::Value& value, const std::function<void(Class, Limits)>& take);

// Says that the arguments of a call are not as they must be.
void ThrowType(Napi::Env env, const char* message);

}  // namespace keyplane
