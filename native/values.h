// JavaScript values of what the pool tells, made with raw Node-API: an environment that is going
// down makes these calls fail, which must end in nothing rather than in a fatal error.

#pragma once

#include <node_api.h>

#include "key.h"
#include "objects.h"
#include "pool.h"

namespace keyplane {

void RejectWith(napi_env env, napi_deferred deferred, const Failure& failure);
napi_value ToResolvedKey(napi_env env, const Key& key, const AttributeRow& row);
napi_value ToRows(napi_env env, const std::vector<AttributeRow>& rows);
napi_value ToBytes(napi_env env, const Bytes& bytes);
napi_value ToNumber(napi_env env, double number);
napi_value ToToken(napi_env env, const TokenInfo& token);
napi_value ToPoolToken(napi_env env, const PoolToken& token);
napi_value ToModule(napi_env env, const ModuleInfo& module);
napi_value ToMechanisms(napi_env env, const std::vector<MechanismInfo>& mechanisms);

}  // namespace keyplane
