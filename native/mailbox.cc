#include "mailbox.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace keyplane {

void Mailbox::Post(std::vector<Finished>&& finished) {
  if (Put(std::move(finished))) Wake();
}

bool Mailbox::Put(std::vector<Finished>&& finished) {
  if (finished.empty()) return false;
  std::lock_guard lock(mutex_);
  if (closed_) return false;
  if (mail_.finished.empty()) {
    mail_.finished.swap(finished);
  } else {
    std::move(finished.begin(), finished.end(), std::back_inserter(mail_.finished));
  }
  return !std::exchange(awake_, true);
}

void Mailbox::Post(Notice notice) {
  {
    std::lock_guard lock(mutex_);
    if (closed_) return;
    mail_.notices.push_back(notice);
    if (std::exchange(awake_, true)) return;
  }
  Wake();
}

void Mailbox::Post(TaskResult result) {
  {
    std::lock_guard lock(mutex_);
    if (closed_) return;
    result.num_before = num_taken_ + mail_.finished.size();
    mail_.results.push_back(std::move(result));
    if (std::exchange(awake_, true)) return;
  }
  Wake();
}

void Mailbox::Take(Mail& mail, std::size_t max_finished) {
  {
    std::lock_guard lock(mutex_);
    awake_ = false;
    mail.notices.swap(mail_.notices);
    if (mail_.finished.size() <= max_finished) {
      num_taken_ += mail_.finished.size();
      mail.finished.swap(mail_.finished);
      mail.results.swap(mail_.results);
      return;
    }
    num_taken_ += max_finished;
    const auto due = std::ranges::find_if(
        mail_.results, [this](const TaskResult& result) { return result.num_before > num_taken_; });
    mail.results.assign(std::make_move_iterator(mail_.results.begin()),
                        std::make_move_iterator(due));
    mail_.results.erase(mail_.results.begin(), due);
    const auto end = mail_.finished.begin() + static_cast<std::ptrdiff_t>(max_finished);
    mail.finished.assign(std::make_move_iterator(mail_.finished.begin()),
                         std::make_move_iterator(end));
    mail_.finished.erase(mail_.finished.begin(), end);
    awake_ = true;
  }
  Wake();
}

void Mailbox::Close() {
  const std::scoped_lock lock(mutex_, async_mutex_);
  closed_ = true;
  async_ = nullptr;
}

void Mailbox::Wake() {
  const std::lock_guard lock(async_mutex_);
  if (async_ != nullptr) uv_async_send(async_);
}

}  // namespace keyplane
