// The class Pool of JavaScript: takes arguments apart, keeps promises, arenas and the ring, and
// carries the pool's mail into the event loop.

#pragma once

#include <napi.h>
#include <uv.h>

#include <cstdint>
#include <memory>
#include <unordered_map>
#include <vector>

#include "objects.h"
#include "pool.h"

namespace keyplane {

class PoolObject : public Napi::ObjectWrap<PoolObject> {
 public:
  static Napi::Function Define(Napi::Env env);
  explicit PoolObject(const Napi::CallbackInfo& info);
  ~PoolObject() override;

 private:
  using Info = const Napi::CallbackInfo&;

  // The loop's handle, which outlives this object until the loop has closed it.
  struct Signal {
    uv_async_t async;
    PoolObject* owner;
    napi_async_cleanup_hook_handle hook;
  };

  struct SharedArena {
    std::shared_ptr<Arena> arena;
    Napi::Reference<Napi::ArrayBuffer> buffer;
  };

  Napi::Value Open(Info info);
  void ProvidePin(Info info);
  Napi::Value Recover(Info info);
  Napi::Value CreateArena(Info info);
  void DestroyArena(Info info);
  Napi::Value Submit(Info info);
  Napi::Value Cancel(Info info);
  Napi::Value Now(Info info);
  Napi::Value State(Info info);
  Napi::Value ResolveKey(Info info);
  void ReleaseKey(Info info);
  void SetLimits(Info info);
  void Stats(Info info);
  Napi::Value Close(Info info);
  Napi::Value Ring(Info info);

  // object_calls.cc
  Napi::Value Find(Info info);
  Napi::Value GenerateKey(Info info);
  Napi::Value GenerateKeyPair(Info info);
  Napi::Value CreateObject(Info info);
  Napi::Value SetAttributes(Info info);
  Napi::Value DestroyObjects(Info info);
  Napi::Value WrapKey(Info info);
  Napi::Value UnwrapKey(Info info);
  Napi::Value Mechanisms(Info info);
  Napi::Value TokenInfo(Info info);
  Napi::Value SessionState(Info info);

  bool Start(Napi::Object options);
  // Returns the promise of a task that `start` begins.
  template <typename Begin>
  Napi::Value Promise(Begin begin);
  Napi::Value Run(bool repeatable, Pool::Work work);
  void Drain();
  void Deliver(const Mail& mail);
  void Call(Napi::FunctionReference& function, const std::vector<napi_value>& arguments);
  void KeepAlive();
  void Shut(bool environment_ends);

  napi_env env_;
  std::shared_ptr<Pool> pool_;
  std::shared_ptr<Mailbox> mailbox_;
  Signal* signal_ = nullptr;
  napi_async_context context_ = nullptr;
  Napi::FunctionReference on_drain_;
  Napi::FunctionReference on_event_;
  std::shared_ptr<std::vector<std::uint32_t>> ring_;
  Napi::Reference<Napi::Uint32Array> ring_view_;
  std::unordered_map<std::uint32_t, SharedArena> arenas_;
  std::uint32_t next_arena_ = 1;
  std::unordered_map<std::uint32_t, napi_deferred> promises_;
  std::uint32_t next_task_ = 1;
  std::uint64_t in_flight_ = 0;
  std::uint32_t closing_ = 0;
  bool closed_ = false;
  bool alive_ = false;
};

}  // namespace keyplane
