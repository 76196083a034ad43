#include "replay/redis_reply.hpp"

#include <hiredis/hiredis.h>

#include <algorithm>
#include <array>
#include <new>

namespace ticket::replay {

namespace {

using Kind = RedisReply::Kind;

RedisReply& reply_of(const redisReadTask* task) {
  return *static_cast<RedisReply*>(task->privdata);
}

// nullptr makes hiredis give up: what we did not ask for is not built.
void* begin(const redisReadTask* task, Kind kind) {
  if (task->parent != nullptr) return nullptr;
  auto& reply = reply_of(task);
  reply.kind = kind;
  reply.list.clear();
  if (kind == Kind::integer || kind == Kind::nil || kind == Kind::list) reply.text.clear();
  return &reply;
}

void* take_text(const redisReadTask* task, const char* text, std::size_t size) {
  auto& reply = reply_of(task);
  if (size > RedisReader::max_reply) return nullptr;
  if (task->parent != nullptr) {
    if (task->type != REDIS_REPLY_STRING || reply.kind != Kind::list) return nullptr;
    reply.list.emplace_back(text, size);
    return &reply;
  }
  reply.text.assign(text, size);
  return begin(task, task->type == REDIS_REPLY_ERROR    ? Kind::error
                     : task->type == REDIS_REPLY_STATUS ? Kind::status
                                                        : Kind::text);
}

// hiredis calls these; nothing may be thrown through it. Generic, because the types of
// sizes differ between its versions.
redisReplyObjectFunctions functions() {
  redisReplyObjectFunctions all{};
  all.createString = [](const redisReadTask* task, char* text, std::size_t size) -> void* {
    try {
      return take_text(task, text, size);
    } catch (const std::bad_alloc&) {
      return nullptr;
    }
  };
  all.createArray = [](const redisReadTask* task, auto elements) -> void* {
    if (static_cast<std::size_t>(elements) > RedisReader::max_list) return nullptr;
    return begin(task, Kind::list);
  };
  all.createInteger = [](const redisReadTask* task, long long number) -> void* {
    reply_of(task).number = number;
    return begin(task, Kind::integer);
  };
  all.createNil = [](const redisReadTask* task) -> void* { return begin(task, Kind::nil); };
  all.freeObject = [](void*) {};
  return all;
}

}  // namespace

void RedisReader::Free::operator()(redisReader* reader) const noexcept { redisReaderFree(reader); }

RedisReader::RedisReader() {
  static auto ours = functions();
  reader_.reset(redisReaderCreateWithFunctions(&ours));
  if (!reader_) throw std::bad_alloc();
  reader_->privdata = &reply_;
}

void RedisReader::feed(BytesView bytes) {
  const auto text = as_text(bytes);
  if (!broken_ && redisReaderFeed(reader_.get(), text.data(), text.size()) != REDIS_OK) {
    broken_ = true;
  }
}

const RedisReply* RedisReader::next() {
  if (broken_) return nullptr;
  void* whole = nullptr;
  if (redisReaderGetReply(reader_.get(), &whole) != REDIS_OK) {
    broken_ = true;
  } else if (whole == nullptr && reader_->len - reader_->pos > max_reply) {
    broken_ = true;
  }
  return broken_ || whole == nullptr ? nullptr : &reply_;
}

void append_command(std::string& out, std::initializer_list<std::string_view> words) {
  constexpr std::size_t most = 16;
  std::array<const char*, most> texts;
  std::array<std::size_t, most> sizes;
  std::size_t count = 0;
  for (const auto word : words) {
    texts.at(count) = word.data();
    sizes.at(count++) = word.size();
  }
  sds command = nullptr;
  const auto size =
      redisFormatSdsCommandArgv(&command, static_cast<int>(count), texts.data(), sizes.data());
  if (size < 0) throw std::bad_alloc();
  const std::unique_ptr<char, void (*)(sds)> owner(command, redisFreeSdsCommand);
  out.append(command, static_cast<std::size_t>(size));
}

std::string quoted(std::string_view text) {
  std::string line(text.substr(0, 200));
  std::ranges::replace_if(
      line, [](char c) { return c < ' ' || c > '~'; }, '?');
  return line;
}

}  // namespace ticket::replay
