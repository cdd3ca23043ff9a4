// The functions JavaScript sees. Arguments are validated in src/engines/hsm/; here they are only
// kept from crashing the process.

#include <napi.h>

#include <cstdint>
#include <exception>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "error.h"
#include "module.h"

namespace keyplane {
namespace {

Napi::Object ToObject(Napi::Env env, const CK_VERSION& version) {
  auto object = Napi::Object::New(env);
  object.Set("major", Napi::Number::New(env, version.major));
  object.Set("minor", Napi::Number::New(env, version.minor));
  return object;
}

Napi::Object ToObject(Napi::Env env, const TokenInfo& token) {
  auto mechanisms = Napi::Array::New(env, token.mechanisms.size());
  for (std::size_t i = 0; i < token.mechanisms.size(); ++i) {
    const auto mechanism = static_cast<double>(token.mechanisms[i]);
    mechanisms.Set(static_cast<std::uint32_t>(i), Napi::Number::New(env, mechanism));
  }
  auto object = Napi::Object::New(env);
  object.Set("slotId", Napi::Number::New(env, static_cast<double>(token.slot_id)));
  object.Set("tokenLabel", Napi::String::New(env, token.label));
  object.Set("manufacturer", Napi::String::New(env, token.manufacturer));
  object.Set("model", Napi::String::New(env, token.model));
  object.Set("serial", Napi::String::New(env, token.serial));
  object.Set("flags", Napi::Number::New(env, static_cast<double>(token.flags)));
  object.Set("mechanisms", mechanisms);
  return object;
}

Napi::Object ToObject(Napi::Env env, const ModuleInfo& module) {
  auto slots = Napi::Array::New(env, module.slots.size());
  for (std::size_t i = 0; i < module.slots.size(); ++i) {
    slots.Set(static_cast<std::uint32_t>(i), ToObject(env, module.slots[i]));
  }
  auto object = Napi::Object::New(env);
  object.Set("cryptokiVersion", ToObject(env, module.cryptoki_version));
  object.Set("manufacturer", Napi::String::New(env, module.manufacturer));
  object.Set("description", Napi::String::New(env, module.description));
  object.Set("libraryVersion", ToObject(env, module.library_version));
  object.Set("slots", slots);
  return object;
}

// One probe. Execute runs on a thread of libuv's pool, which suits a rare call; the rest runs on
// the JavaScript thread. The worker deletes itself when its promise is settled.
class ProbeWorker : public Napi::AsyncWorker {
 public:
  ProbeWorker(Napi::Env env, std::string path)
      : Napi::AsyncWorker(env, "keyplane:probe"),
        deferred_(Napi::Promise::Deferred::New(env)),
        path_(std::move(path)) {}

  Napi::Promise promise() const { return deferred_.Promise(); }

 protected:
  void Execute() override {
    try {
      module_ = ProbeModule(path_);
    } catch (const ModuleError& error) {
      ckr_ = error.ckr();
      SetError(error.what());
    } catch (const std::exception& error) {
      SetError(error.what());
    }
  }

  void OnOK() override { deferred_.Resolve(ToObject(Env(), module_)); }

  void OnError(const Napi::Error& error) override {
    Napi::Object reason = error.Value();
    if (ckr_) {
      const std::string_view name = CkrName(*ckr_);
      reason.Set("ckr", Napi::Number::New(Env(), static_cast<double>(*ckr_)));
      if (!name.empty()) {
        reason.Set("ckrName", Napi::String::New(Env(), name.data(), name.size()));
      }
    }
    deferred_.Reject(reason);
  }

 private:
  Napi::Promise::Deferred deferred_;
  std::string path_;
  ModuleInfo module_{};
  std::optional<CK_RV> ckr_;
};

// probe(path: string): Promise<ModuleInfo>
Napi::Value Probe(const Napi::CallbackInfo& info) {
  if (info.Length() != 1 || !info[0].IsString()) {
    Napi::TypeError::New(info.Env(), "probe takes a path").ThrowAsJavaScriptException();
    return info.Env().Undefined();
  }
  auto* worker = new ProbeWorker(info.Env(), info[0].As<Napi::String>().Utf8Value());
  const Napi::Promise promise = worker->promise();
  worker->Queue();
  return promise;
}

Napi::Object Init(Napi::Env env, Napi::Object exports) {
  exports.Set("probe", Napi::Function::New(env, Probe, "probe"));
  return exports;
}

NODE_API_MODULE(keyplane, Init)

}  // namespace
}  // namespace keyplane
