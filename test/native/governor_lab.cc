// A governor alone, which a test feeds with the figures of devices that it makes up, in a time that
// it makes up too.

#include <napi.h>

#include <cstdint>

#include "../../native/governor.h"

namespace {

class Lab : public Napi::ObjectWrap<Lab> {
 public:
  static Napi::Function Define(Napi::Env env) {
    return DefineClass(env, "Governor",
                       {InstanceMethod<&Lab::Add>("add"), InstanceMethod<&Lab::Tick>("tick"),
                        InstanceAccessor<&Lab::Limit>("limit")});
  }

  // Governor(cores, min, max)
  explicit Lab(const Napi::CallbackInfo& info)
      : Napi::ObjectWrap<Lab>(info), governor_(Uint32At(info, 0)) {
    governor_.SetLimits({Uint32At(info, 1), Uint32At(info, 2)});
  }

 private:
  static std::uint32_t Uint32At(const Napi::CallbackInfo& info, std::size_t index) {
    return info[index].As<Napi::Number>().Uint32Value();
  }
  static std::uint64_t Uint64At(const Napi::CallbackInfo& info, std::size_t index) {
    return static_cast<std::uint64_t>(info[index].As<Napi::Number>().DoubleValue());
  }

  // add(operations, wallNs, cpuNs)
  void Add(const Napi::CallbackInfo& info) {
    governor_.Add(Uint32At(info, 0), Uint64At(info, 1), Uint64At(info, 2));
  }

  // tick(nowMs, saturated): whether the limit changed
  Napi::Value Tick(const Napi::CallbackInfo& info) {
    const bool saturated = info[1].As<Napi::Boolean>().Value();
    return Napi::Boolean::New(info.Env(), governor_.Tick(Uint64At(info, 0), saturated));
  }

  Napi::Value Limit(const Napi::CallbackInfo& info) {
    return Napi::Number::New(info.Env(), governor_.limit());
  }

  keyplane::Governor governor_;
};

Napi::Object Init(Napi::Env env, Napi::Object exports) {
  exports.Set("Governor", Lab::Define(env));
  return exports;
}

NODE_API_MODULE(governor_lab, Init)

}  // namespace
