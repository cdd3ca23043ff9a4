// The calls of Pool that work on objects of the token, and ask what the token is: tasks of the
// lane.

#include <utility>

#include "arguments.h"
#include "pool_object.h"
#include "values.h"

namespace keyplane {

Napi::Value PoolObject::Find(Info info) {
  auto match = ToTemplate(info[0]);
  auto types = ToTypes(info[1]);
  const auto max = Uint32At(info, 2);
  if (match == nullptr || !types || !max) {
    ThrowType(info.Env(), "find takes a template, attribute types and a number");
    return {};
  }
  return Run(true, [match, types = std::move(*types), max = *max](LaneTools& tools) -> MakeValue {
    std::vector<AttributeRow> rows;
    for (const CK_OBJECT_HANDLE object : FindObjects(tools, *match, max)) {
      rows.push_back(ReadAttributes(tools, object, types));
    }
    return [rows = std::move(rows)](napi_env env) { return ToRows(env, rows); };
  });
}

Napi::Value PoolObject::GenerateKey(Info info) {
  const auto mechanism = Uint32At(info, 0);
  auto attributes = ToTemplate(info[1]);
  if (!mechanism || attributes == nullptr) {
    ThrowType(info.Env(), "generateKey takes a mechanism and a template");
    return {};
  }
  return Run(false, [mechanism = *mechanism, attributes](LaneTools& tools) {
    keyplane::GenerateKey(tools, mechanism, *attributes);
    return MakeValue();
  });
}

Napi::Value PoolObject::GenerateKeyPair(Info info) {
  const auto mechanism = Uint32At(info, 0);
  auto public_attributes = ToTemplate(info[1]);
  auto private_attributes = ToTemplate(info[2]);
  if (!mechanism || public_attributes == nullptr || private_attributes == nullptr) {
    ThrowType(info.Env(), "generateKeyPair takes a mechanism and two templates");
    return {};
  }
  return Run(false,
             [mechanism = *mechanism, public_attributes, private_attributes](LaneTools& tools) {
               keyplane::GenerateKeyPair(tools, mechanism, *public_attributes, *private_attributes);
               return MakeValue();
             });
}

Napi::Value PoolObject::CreateObject(Info info) {
  auto attributes = ToTemplate(info[0]);
  if (attributes == nullptr) {
    ThrowType(info.Env(), "createObject takes a template");
    return {};
  }
  return Run(false, [attributes](LaneTools& tools) {
    keyplane::CreateObject(tools, *attributes);
    return MakeValue();
  });
}

Napi::Value PoolObject::SetAttributes(Info info) {
  auto match = ToTemplate(info[0]);
  auto attributes = ToTemplate(info[1]);
  if (match == nullptr || attributes == nullptr) {
    ThrowType(info.Env(), "setAttributes takes two templates");
    return {};
  }
  return Run(true, [match, attributes](LaneTools& tools) -> MakeValue {
    const auto count = static_cast<double>(keyplane::SetAttributes(tools, *match, *attributes));
    return [count](napi_env env) { return ToNumber(env, count); };
  });
}

Napi::Value PoolObject::DestroyObjects(Info info) {
  auto match = ToTemplate(info[0]);
  if (match == nullptr) {
    ThrowType(info.Env(), "destroyObjects takes a template");
    return {};
  }
  return Run(false, [match, pool = pool_.get()](LaneTools& tools) -> MakeValue {
    std::vector<CK_OBJECT_HANDLE> destroyed;
    try {
      keyplane::DestroyObjects(tools, *match, destroyed);
    } catch (...) {
      pool->ForgetCopies(destroyed);
      throw;
    }
    pool->ForgetCopies(destroyed);
    const auto count = static_cast<double>(destroyed.size());
    return [count](napi_env env) { return ToNumber(env, count); };
  });
}

Napi::Value PoolObject::WrapKey(Info info) {
  const auto mechanism = Uint32At(info, 0);
  auto parameter = ToWrapParameter(info[1]);
  const auto wrapping = Uint32At(info, 2);
  const auto wrapped = Uint32At(info, 3);
  const auto wrapping_key = wrapping ? pool_->FindKey(*wrapping) : nullptr;
  const auto key = wrapped ? pool_->FindKey(*wrapped) : nullptr;
  if (!mechanism || !parameter || wrapping_key == nullptr || key == nullptr) {
    ThrowType(info.Env(), "wrapKey takes a mechanism, its parameter and two key refs");
    return {};
  }
  return Run(true,
             [mechanism = *mechanism, parameter = std::move(*parameter), wrapping_key,
              key](LaneTools& tools) mutable -> MakeValue {
               Bytes bytes = keyplane::WrapKey(tools, mechanism, parameter, *wrapping_key, *key);
               return [bytes = std::move(bytes)](napi_env env) { return ToBytes(env, bytes); };
             });
}

Napi::Value PoolObject::UnwrapKey(Info info) {
  const auto mechanism = Uint32At(info, 0);
  auto parameter = ToWrapParameter(info[1]);
  const auto unwrapping = Uint32At(info, 2);
  const auto unwrapping_key = unwrapping ? pool_->FindKey(*unwrapping) : nullptr;
  auto wrapped = ToByteVector(info[3]);
  auto attributes = ToTemplate(info[4]);
  if (!mechanism || !parameter || unwrapping_key == nullptr || !wrapped || attributes == nullptr) {
    ThrowType(info.Env(),
              "unwrapKey takes a mechanism, its parameter, a key ref, bytes and a template");
    return {};
  }
  return Run(false, [mechanism = *mechanism, parameter = std::move(*parameter), unwrapping_key,
                     wrapped = std::move(*wrapped), attributes](LaneTools& tools) mutable {
    keyplane::UnwrapKey(tools, mechanism, parameter, *unwrapping_key, wrapped, *attributes);
    return MakeValue();
  });
}

Napi::Value PoolObject::Mechanisms(Info) {
  return Run(true, [](LaneTools& tools) -> MakeValue {
    auto mechanisms = ReadMechanisms(tools.functions, tools.slot_id);
    return [mechanisms = std::move(mechanisms)](napi_env env) {
      return ToMechanisms(env, mechanisms);
    };
  });
}

Napi::Value PoolObject::TokenInfo(Info) {
  return Run(true, [](LaneTools& tools) -> MakeValue {
    auto token = ReadToken(tools.functions, tools.slot_id);
    return [token = std::move(token)](napi_env env) { return ToToken(env, token); };
  });
}

Napi::Value PoolObject::SessionState(Info) {
  return Run(true, [](LaneTools& tools) -> MakeValue {
    CK_SESSION_INFO info{};
    Check("C_GetSessionInfo", tools.functions.C_GetSessionInfo(tools.session, &info));
    return [state = static_cast<double>(info.state)](napi_env env) { return ToNumber(env, state); };
  });
}

}  // namespace keyplane
