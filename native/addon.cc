// The functions JavaScript sees. Arguments are validated in src/engines/hsm/; here they are only
// kept from crashing the process.

#include <napi.h>

#include <cstdint>
#include <cstring>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "arguments.h"
#include "error.h"
#include "exit.h"
#include "module.h"
#include "pool_object.h"
#include "values.h"

namespace keyplane {
namespace {

// Runs something rare on a thread of libuv's pool and settles a promise with what came of it.
// Deletes itself then.
class Errand : public Napi::AsyncWorker {
 public:
  using Body = std::function<MakeValue()>;

  Errand(Napi::Env env, const char* name, Body body)
      : Napi::AsyncWorker(env, name), body_(std::move(body)) {
    napi_create_promise(env, &deferred_, &promise_);
  }

  // Valid in the scope that made this object.
  napi_value promise() const { return promise_; }

 protected:
  void Execute() override {
    ThreadMark mark;
    const InModule inside(mark);
    try {
      value_ = body_();
    } catch (const ModuleError& error) {
      failure_ = ToFailure(error);
    } catch (const std::exception& error) {
      failure_ = Failure{error.what(), {}, {}, {}};
    }
  }

  void OnOK() override {
    if (failure_) {
      RejectWith(Env(), deferred_, *failure_);
      return;
    }
    napi_value value = value_ ? value_(Env()) : Env().Undefined();
    napi_resolve_deferred(Env(), deferred_, value);
  }

 private:
  napi_deferred deferred_ = nullptr;
  napi_value promise_ = nullptr;
  Body body_;
  MakeValue value_;
  std::optional<Failure> failure_;
};

Napi::Value Start(Napi::Env env, const char* name, Errand::Body body) {
  auto* errand = new Errand(env, name, std::move(body));
  const Napi::Value promise(env, errand->promise());
  errand->Queue();
  return promise;
}

// probe(path: string, options?: ModuleOptions): Promise<ModuleInfo>
Napi::Value Probe(const Napi::CallbackInfo& info) {
  auto options = info.Length() < 3 ? ToModuleOptions(info[1]) : std::nullopt;
  if (!info[0].IsString() || !options) {
    Napi::TypeError::New(info.Env(), "probe takes a path and options").ThrowAsJavaScriptException();
    return info.Env().Undefined();
  }
  return Start(info.Env(), "keyplane:probe",
               [path = info[0].As<Napi::String>().Utf8Value(), options = std::move(*options)] {
                 return MakeValue([module = ProbeModule(path, options)](napi_env env) {
                   return ToModule(env, module);
                 });
               });
}

// initToken(options: InitTokenOptions): Promise<void>
Napi::Value InitializeToken(const Napi::CallbackInfo& info) {
  auto request = ToInitToken(info[0]);
  if (!request) {
    Napi::TypeError::New(info.Env(), "The options of initToken are not as they must be")
        .ThrowAsJavaScriptException();
    return info.Env().Undefined();
  }
  return Start(info.Env(), "keyplane:init-token",
               [request = std::make_shared<InitTokenRequest>(std::move(*request))] {
                 InitToken(*request);
                 return MakeValue();
               });
}

// ckrName(ckr: number): string | undefined
Napi::Value NameOfCode(const Napi::CallbackInfo& info) {
  const auto ckr = ToInteger(info[0], 9007199254740991.0);
  const std::string_view name = ckr ? CkrName(static_cast<CK_RV>(*ckr)) : std::string_view();
  if (name.empty()) return info.Env().Undefined();
  return Napi::String::New(info.Env(), name.data(), name.size());
}

// ulong(value: number): Uint8Array
Napi::Value Ulong(const Napi::CallbackInfo& info) {
  const auto number = ToInteger(info[0], 9007199254740991.0);
  if (!number) {
    Napi::TypeError::New(info.Env(), "ulong takes a whole number").ThrowAsJavaScriptException();
    return info.Env().Undefined();
  }
  const auto value = static_cast<CK_ULONG>(*number);
  Bytes bytes(sizeof value);
  std::memcpy(bytes.data(), &value, sizeof value);
  return {info.Env(), ToBytes(info.Env(), bytes)};
}

Napi::Object Init(Napi::Env env, Napi::Object exports) {
  exports.Set("probe", Napi::Function::New(env, Probe, "probe"));
  exports.Set("initToken", Napi::Function::New(env, InitializeToken, "initToken"));
  exports.Set("ckrName", Napi::Function::New(env, NameOfCode, "ckrName"));
  exports.Set("ulong", Napi::Function::New(env, Ulong, "ulong"));
  auto names = Napi::Array::New(env, kFunctionNames.size());
  for (std::size_t i = 0; i < kFunctionNames.size(); ++i) {
    names.Set(static_cast<std::uint32_t>(i), std::string(kFunctionNames[i]));
  }
  exports.Set("functionNames", names);
  exports.Set("Pool", PoolObject::Define(env));
  return exports;
}

NODE_API_MODULE(keyplane, Init)

}  // namespace
}  // namespace keyplane
