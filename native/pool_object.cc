#include "pool_object.h"

#include <cstring>
#include <utility>

#include "arguments.h"
#include "values.h"

namespace keyplane {
namespace {

constexpr std::size_t kRingRanges = 4096;
constexpr std::uint32_t kMaxArenaRecords = 65'536;
constexpr double kMaxArenaLen = 1 << 30;

}  // namespace

Napi::Function PoolObject::Define(Napi::Env env) {
  using Object = PoolObject;
  return DefineClass(env, "Pool",
                     {
                         InstanceAccessor<&Object::Ring>("ring"),
                         InstanceMethod<&Object::Open>("open"),
                         InstanceMethod<&Object::ProvidePin>("providePin"),
                         InstanceMethod<&Object::Recover>("recover"),
                         InstanceMethod<&Object::CreateArena>("createArena"),
                         InstanceMethod<&Object::DestroyArena>("destroyArena"),
                         InstanceMethod<&Object::Submit>("submit"),
                         InstanceMethod<&Object::Cancel>("cancel"),
                         InstanceMethod<&Object::Now>("now"),
                         InstanceMethod<&Object::State>("state"),
                         InstanceMethod<&Object::ResolveKey>("resolveKey"),
                         InstanceMethod<&Object::ReleaseKey>("releaseKey"),
                         InstanceMethod<&Object::SetLimits>("setLimits"),
                         InstanceMethod<&Object::Stats>("stats"),
                         InstanceMethod<&Object::Close>("close"),
                         InstanceMethod<&Object::Find>("find"),
                         InstanceMethod<&Object::GenerateKey>("generateKey"),
                         InstanceMethod<&Object::GenerateKeyPair>("generateKeyPair"),
                         InstanceMethod<&Object::CreateObject>("createObject"),
                         InstanceMethod<&Object::SetAttributes>("setAttributes"),
                         InstanceMethod<&Object::DestroyObjects>("destroyObjects"),
                         InstanceMethod<&Object::WrapKey>("wrapKey"),
                         InstanceMethod<&Object::UnwrapKey>("unwrapKey"),
                         InstanceMethod<&Object::Mechanisms>("mechanisms"),
                         InstanceMethod<&Object::TokenInfo>("tokenInfo"),
                         InstanceMethod<&Object::SessionState>("sessionState"),
                     });
}

PoolObject::PoolObject(Info info) : Napi::ObjectWrap<PoolObject>(info), env_(info.Env()) {
  if (info.Length() != 1 || !info[0].IsObject() || !Start(info[0].As<Napi::Object>())) {
    ThrowType(info.Env(), "The options of the pool are not as they must be");
  }
}

PoolObject::~PoolObject() { Shut(false); }

bool PoolObject::Start(Napi::Object options) {
  auto parsed = ToPoolOptions(options);
  const Napi::Value on_drain = options.Get("onDrain");
  const Napi::Value on_event = options.Get("onEvent");
  if (!parsed || !on_drain.IsFunction() || !on_event.IsFunction()) return false;
  uv_loop_t* loop = nullptr;
  if (napi_get_uv_event_loop(env_, &loop) != napi_ok) return false;

  napi_value name = Napi::String::New(env_, "keyplane:hsm");
  if (napi_async_init(env_, nullptr, name, &context_) != napi_ok) return false;

  signal_ = new Signal{.async = {}, .owner = this, .hook = nullptr};
  uv_async_init(loop, &signal_->async, [](uv_async_t* async) {
    PoolObject* owner = reinterpret_cast<Signal*>(async)->owner;
    if (owner != nullptr) owner->Drain();
  });
  uv_unref(reinterpret_cast<uv_handle_t*>(&signal_->async));
  napi_add_async_cleanup_hook(
      env_,
      [](napi_async_cleanup_hook_handle, void* signal) {
        PoolObject* owner = static_cast<Signal*>(signal)->owner;
        if (owner != nullptr) owner->Shut(true);
      },
      signal_, &signal_->hook);

  on_drain_ = Napi::Persistent(on_drain.As<Napi::Function>());
  on_event_ = Napi::Persistent(on_event.As<Napi::Function>());
  // The addon writes to its own memory, whatever becomes of the view.
  ring_ = std::make_shared<std::vector<std::uint32_t>>(3 * kRingRanges);
  auto* kept = new std::shared_ptr<std::vector<std::uint32_t>>(ring_);
  auto buffer = Napi::ArrayBuffer::New(env_, ring_->data(), ring_->size() * sizeof(std::uint32_t),
                                       [kept](Napi::Env, void*) { delete kept; });
  ring_view_ = Napi::Persistent(Napi::Uint32Array::New(env_, ring_->size(), buffer, 0));

  mailbox_ = std::make_shared<Mailbox>(&signal_->async);
  pool_ = std::make_shared<Pool>(std::move(*parsed), mailbox_);
  return true;
}

void PoolObject::Shut(bool environment_ends) {
  if (pool_ != nullptr) pool_->Abandon();
  if (mailbox_ != nullptr) mailbox_->Close();
  if (context_ != nullptr) napi_async_destroy(env_, std::exchange(context_, nullptr));
  if (signal_ == nullptr) return;
  Signal* signal = std::exchange(signal_, nullptr);
  signal->owner = nullptr;
  if (!environment_ends) {
    napi_remove_async_cleanup_hook(signal->hook);
    signal->hook = nullptr;
  }
  uv_close(reinterpret_cast<uv_handle_t*>(&signal->async), [](uv_handle_t* handle) {
    auto* closed = reinterpret_cast<Signal*>(handle);
    if (closed->hook != nullptr) napi_remove_async_cleanup_hook(closed->hook);
    delete closed;
  });
}

// The loop and this object stay while something is outstanding.
void PoolObject::KeepAlive() {
  // What still hangs when the pool is closed is waited for no longer.
  const bool outstanding = (in_flight_ != 0 && !closed_) || !promises_.empty();
  if (outstanding == alive_ || signal_ == nullptr) return;
  alive_ = outstanding;
  auto* handle = reinterpret_cast<uv_handle_t*>(&signal_->async);
  if (outstanding) {
    uv_ref(handle);
    Ref();
  } else {
    uv_unref(handle);
    Unref();
  }
}

template <typename Begin>
Napi::Value PoolObject::Promise(Begin begin) {
  napi_deferred deferred = nullptr;
  napi_value promise = nullptr;
  if (napi_create_promise(env_, &deferred, &promise) != napi_ok) return {};
  const std::uint32_t task = next_task_++;
  promises_.emplace(task, deferred);
  KeepAlive();
  begin(task);
  return {env_, promise};
}

Napi::Value PoolObject::Run(bool repeatable, Pool::Work work) {
  return Promise([&](std::uint32_t task) { pool_->Run(task, repeatable, std::move(work)); });
}

void PoolObject::Drain() {
  Napi::HandleScope scope(env_);
  napi_callback_scope callback_scope = nullptr;
  napi_value resource = Value();
  if (resource == nullptr) return;
  if (napi_open_callback_scope(env_, resource, context_, &callback_scope) != napi_ok) return;
  Mail mail;
  mailbox_->Take(mail, kRingRanges);
  Deliver(mail);
  KeepAlive();
  // Runs microtasks, which may submit more.
  napi_close_callback_scope(env_, callback_scope);
}

void PoolObject::Deliver(const Mail& mail) {
  std::uint32_t* out = ring_->data();
  for (const Finished& finished : mail.finished) {
    *out++ = finished.arena->id();
    *out++ = finished.first;
    *out++ = finished.count | static_cast<std::uint32_t>(finished.kind) << 24;
    pool_->Settle(finished);
    if (finished.kind != Kind::kTimedOut) in_flight_ -= finished.count;
  }
  if (!mail.finished.empty()) {
    Call(on_drain_, {ToNumber(env_, static_cast<double>(mail.finished.size()))});
  }
  for (const Notice& notice : mail.notices) {
    Call(on_event_, {ToNumber(env_, static_cast<double>(notice.event)), ToNumber(env_, notice.a),
                     ToNumber(env_, notice.b)});
  }
  for (const TaskResult& result : mail.results) {
    const auto found = promises_.find(result.task);
    if (found == promises_.end()) continue;
    const napi_deferred deferred = found->second;
    promises_.erase(found);
    if (result.task == closing_) closed_ = true;
    result.settle(env_, deferred);
  }
}

void PoolObject::Call(Napi::FunctionReference& function, const std::vector<napi_value>& arguments) {
  napi_value callback = function.Value();
  napi_value result = nullptr;
  const napi_status status =
      napi_call_function(env_, Value(), callback, arguments.size(), arguments.data(), &result);
  if (status != napi_pending_exception) return;
  napi_value error = nullptr;
  if (napi_get_and_clear_last_exception(env_, &error) == napi_ok) napi_fatal_exception(env_, error);
}

Napi::Value PoolObject::Ring(Info) { return ring_view_.Value(); }

Napi::Value PoolObject::Open(Info) {
  return Promise([&](std::uint32_t task) { pool_->Open(task); });
}

void PoolObject::ProvidePin(Info info) {
  Pin pin;
  if (info[0].IsNull()) {
    pin.refused = false;
    pin.none = true;
  } else if (auto bytes = ToSecret(info[0])) {
    pin.refused = false;
    pin.bytes = std::move(*bytes);
  } else if (!info[0].IsBoolean() || info[0].As<Napi::Boolean>().Value()) {
    ThrowType(info.Env(), "providePin takes bytes, null or false");
    return;
  }
  pool_->pins().Provide(std::move(pin));
}

Napi::Value PoolObject::Recover(Info) {
  return Promise([&](std::uint32_t task) { pool_->Recover(task); });
}

Napi::Value PoolObject::CreateArena(Info info) {
  const auto num_records = Uint32At(info, 0);
  const auto data_len = Uint32At(info, 1);
  if (!num_records || *num_records == 0 || *num_records > kMaxArenaRecords || !data_len ||
      *data_len > kMaxArenaLen) {
    ThrowType(info.Env(), "createArena takes 1 to 65,536 records and at most 1 GiB of data");
    return {};
  }
  std::shared_ptr<Arena> arena;
  try {
    arena = std::make_shared<Arena>(next_arena_, *num_records, *data_len);
  } catch (const std::bad_alloc&) {
    Napi::RangeError::New(info.Env(), "There is no memory for the arena")
        .ThrowAsJavaScriptException();
    return {};
  }
  ++next_arena_;
  auto* kept = new std::shared_ptr<Arena>(arena);
  auto buffer = Napi::ArrayBuffer::New(info.Env(), arena->bytes(), arena->len(),
                                       [kept](Napi::Env, void*) { delete kept; });
  auto object = Napi::Object::New(info.Env());
  object.Set("id", Napi::Number::New(info.Env(), arena->id()));
  object.Set("buffer", buffer);
  arenas_.emplace(arena->id(), SharedArena{arena, Napi::Weak(buffer)});
  return object;
}

void PoolObject::DestroyArena(Info info) {
  const auto id = Uint32At(info, 0);
  const auto found = id ? arenas_.find(*id) : arenas_.end();
  if (found == arenas_.end()) {
    ThrowType(info.Env(), "There is no such arena");
    return;
  }
  if (found->second.arena->num_in_flight != 0) {
    Napi::Error::New(info.Env(), "Records of the arena are in flight").ThrowAsJavaScriptException();
    return;
  }
  const Napi::Value buffer = found->second.buffer.Value();
  if (!buffer.IsEmpty() && buffer.IsArrayBuffer()) napi_detach_arraybuffer(env_, buffer);
  arenas_.erase(found);
}

Napi::Value PoolObject::Submit(Info info) {
  const auto id = Uint32At(info, 0);
  const auto first = Uint32At(info, 1);
  const auto count = Uint32At(info, 2);
  const auto found = id ? arenas_.find(*id) : arenas_.end();
  auto submitted = Submitted::kBadRange;
  if (first && count && found != arenas_.end()) {
    submitted = pool_->Submit(found->second.arena, *first, *count);
  }
  if (submitted == Submitted::kAccepted) {
    in_flight_ += *count;
    KeepAlive();
  }
  return Napi::Number::New(info.Env(), static_cast<double>(submitted));
}

Napi::Value PoolObject::Cancel(Info info) {
  const auto id = Uint32At(info, 0);
  const auto index = Uint32At(info, 1);
  const auto found = id ? arenas_.find(*id) : arenas_.end();
  int cancelled = 0;
  if (index && found != arenas_.end()) cancelled = pool_->Cancel(*found->second.arena, *index);
  return Napi::Number::New(info.Env(), cancelled);
}

Napi::Value PoolObject::Now(Info info) {
  return Napi::Number::New(info.Env(), static_cast<double>(pool_->clock_ms()));
}

Napi::Value PoolObject::State(Info info) {
  return Napi::Number::New(info.Env(), static_cast<double>(pool_->state()));
}

Napi::Value PoolObject::ResolveKey(Info info) {
  auto query = ToKeyQuery(info[0]);
  auto types = ToTypes(info[1]);
  if (!query || !types || (!query->id && !query->label)) {
    ThrowType(info.Env(), "resolveKey takes a query with id or label, and attribute types");
    return {};
  }
  return Promise(
      [&](std::uint32_t task) { pool_->Resolve(task, std::move(*query), std::move(*types)); });
}

void PoolObject::ReleaseKey(Info info) {
  const auto ref = Uint32At(info, 0);
  if (ref) pool_->ReleaseKey(*ref);
}

void PoolObject::SetLimits(Info info) {
  const bool read = ReadLimits(
      info[0], [&](Class job_class, Limits limits) { pool_->SetLimits(job_class, limits); });
  if (!read) ThrowType(info.Env(), "setLimits takes { min, max } by class");
}

void PoolObject::Stats(Info info) {
  if (!info[0].IsTypedArray() ||
      info[0].As<Napi::TypedArray>().TypedArrayType() != napi_float64_array) {
    ThrowType(info.Env(), "stats takes a Float64Array");
    return;
  }
  auto into = info[0].As<Napi::Float64Array>();
  pool_->Stats(into.Data(), into.ElementLength());
}

Napi::Value PoolObject::Close(Info info) {
  const auto drain_ms = Uint32At(info, 0);
  if (!drain_ms) {
    ThrowType(info.Env(), "close takes milliseconds");
    return {};
  }
  return Promise([&](std::uint32_t task) {
    closing_ = task;
    pool_->Close(task, *drain_ms);
  });
}

}  // namespace keyplane
