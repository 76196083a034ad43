#include "client/cache_file.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <utility>

#include "wire/cursor.hpp"
#include "wire/layout.hpp"

namespace ticket::client {

namespace {

constexpr std::size_t digest_size = 32;
constexpr std::uint8_t version = 4;
constexpr std::size_t verify_size = 64;
constexpr std::size_t most_sessions = 1'000'000;

std::string_view magic() { return wire::client_cache_magic; }

BytesView view(const std::string& text) { return as_bytes(text); }
BytesView view(const Name& name) { return as_bytes(name.text()); }

SessionPtr parse_der(BytesView der) {
  const unsigned char* at = raw(der);
  SessionPtr session(d2i_SSL_SESSION(nullptr, &at, static_cast<long>(der.size())));
  return session && at == raw(der) + der.size() ? std::move(session) : nullptr;
}

void put_verify(wire::Writer& writer, const VerifySettings& verify) {
  writer.integer<std::uint8_t>(verify.peer ? 1 : 0)
      .integer(static_cast<std::uint32_t>(verify.depth))
      .integer(static_cast<std::uint32_t>(verify.auth_level))
      .integer(verify.flags)
      .integer<std::uint8_t>(verify.callback != 0 ? 1 : 0)
      .integer(static_cast<std::uint32_t>(verify.security_level))
      .integer(verify.host_flags)
      .integer<std::uint8_t>(verify.transparency ? 1 : 0)
      .integer(static_cast<std::uint32_t>(verify.store.depth))
      .integer(verify.store.flags)
      .integer(verify.store.host_flags)
      .integer<std::uint8_t>(verify.store.callback != 0 ? 1 : 0)
      .integer(static_cast<std::uint64_t>(verify.store.time))
      .integer(verify.cert_flags)
      .integer(static_cast<std::uint64_t>(verify.time));
}

Checked<VerifySettings> take_verify(wire::Cursor& cursor) {
  VerifySettings verify;
  verify.peer = TRY(cursor.integer<std::uint8_t>()) == 1;
  verify.depth = static_cast<int>(TRY(cursor.integer<std::uint32_t>()));
  verify.auth_level = static_cast<int>(TRY(cursor.integer<std::uint32_t>()));
  verify.flags = TRY(cursor.integer<std::uint64_t>());
  // a function of another process: never equal to one of this
  verify.callback = TRY(cursor.integer<std::uint8_t>()) == 0 ? 0 : 1;
  verify.security_level = static_cast<int>(TRY(cursor.integer<std::uint32_t>()));
  verify.host_flags = TRY(cursor.integer<std::uint32_t>());
  verify.transparency = TRY(cursor.integer<std::uint8_t>()) == 1;
  verify.store.depth = static_cast<int>(TRY(cursor.integer<std::uint32_t>()));
  verify.store.flags = TRY(cursor.integer<std::uint64_t>());
  verify.store.host_flags = TRY(cursor.integer<std::uint32_t>());
  verify.store.callback = TRY(cursor.integer<std::uint8_t>()) == 0 ? 0 : 1;
  verify.store.time = static_cast<std::int64_t>(TRY(cursor.integer<std::uint64_t>()));
  verify.cert_flags = TRY(cursor.integer<std::uint32_t>());
  verify.time = static_cast<std::int64_t>(TRY(cursor.integer<std::uint64_t>()));
  return verify;
}

std::size_t size_of(std::string_view partition, std::string_view pool, const Session& session,
                    std::size_t der) {
  const Lineage& lineage = *session.lineage;
  return 4 + partition.size() + 4 + pool.size() + 4 + session.server.text().size() + 1 +
         session.alpn.size() + 8 + 8 + 8 + 4 + lineage.name.text().size() + 1 + verify_size + 32 +
         4 + der;
}

// Secret bytes that grow. A SecretBytes takes four mappings of memory, of which Linux gives a
// process 65,530: so one holds all sessions, not one each.
class Growing {
 public:
  // `size` more, to be filled.
  std::span<std::byte> more(std::size_t size) {
    if (bytes_.size() - size_ < size) {
      SecretBytes larger(std::max(size_ + size, bytes_.size() * 2));
      std::ranges::copy(view(), larger.fill().begin());
      bytes_ = std::move(larger);
    }
    size_ += size;
    return bytes_.fill().subspan(size_ - size, size);
  }
  void clear() { size_ = 0; }
  BytesView view() const { return bytes_.expose().first(size_); }

 private:
  SecretBytes bytes_;
  std::size_t size_ = 0;
};

// False for what cannot be written. `der`: for as long as that takes.
bool put_der(Growing& der, const SSL_SESSION* session) {
  der.clear();
  const int size = i2d_SSL_SESSION(session, nullptr);
  if (size <= 0) return false;
  unsigned char* at = raw(der.more(static_cast<std::size_t>(size)));
  return i2d_SSL_SESSION(session, &at) == size;
}

void put_session(wire::Writer& writer, std::string_view partition, std::string_view pool,
                 const Session& session, BytesView der) {
  const Lineage& lineage = *session.lineage;
  writer.long_field(as_bytes(partition)).long_field(as_bytes(pool));
  writer.long_field(view(session.server.text())).short_field(view(session.alpn));
  writer.time(session.received).time(session.expires);
  writer.time(lineage.born).long_field(view(lineage.name));
  writer.integer<std::uint8_t>(lineage.chain_verified ? 1 : 0);
  put_verify(writer, lineage.verify);
  writer.bytes(lineage.identity);
  writer.long_field(der);
}

// The end of a session is taken from the session too, so that a file cannot prolong it.
Checked<CachedSession> take_session(wire::Cursor& cursor) {
  std::string partition(as_text(TRY(cursor.long_field())));
  std::string pool(as_text(TRY(cursor.long_field())));
  const auto server = Server::parse(as_text(TRY(cursor.long_field())));
  std::string alpn(as_text(TRY(cursor.short_field())));
  const auto received = TRY(cursor.time());
  const auto expires = TRY(cursor.time());
  Lineage lineage;
  lineage.born = TRY(cursor.time());
  lineage.name = std::string(as_text(TRY(cursor.long_field())));
  lineage.chain_verified = TRY(cursor.integer<std::uint8_t>()) == 1;
  lineage.verify = TRY(take_verify(cursor));
  lineage.identity = TRY(cursor.array<32>());
  auto session = parse_der(TRY(cursor.long_field()));
  if (!server || !session || partition.find('\0') != std::string::npos) {
    return reject(Rejection::malformed);
  }
  if (X509* leaf = SSL_SESSION_get0_peer(session.get()); leaf != nullptr) {
    X509_up_ref(leaf);
    lineage.leaf.reset(leaf);
  }
  auto made = make_lineage(std::move(lineage));
  if (!made) return reject(Rejection::malformed);
  CachedSession cached{
      std::move(partition), std::move(pool),
      make_session(std::move(session), std::move(made), *server, std::move(alpn), received)};
  cached.session.expires = std::min(expires, cached.session.expires);
  return cached;
}

Checked<std::vector<CachedSession>> take_sessions(BytesView body, sys_seconds now) {
  wire::Cursor cursor(body);
  const auto count = TRY(cursor.integer<std::uint32_t>());
  if (count > most_sessions) return reject(Rejection::malformed);
  std::vector<CachedSession> sessions;
  for (std::uint32_t i = 0; i < count; ++i) {
    auto session = TRY(take_session(cursor));
    if (now < session.session.expires) sessions.push_back(std::move(session));
  }
  TRY(cursor.end());
  return sessions;
}

[[noreturn]] void fail(const std::string& path) {
  throw std::system_error(errno, std::generic_category(), path);
}

void write_all(int file, BytesView bytes, const std::string& path) {
  while (!bytes.empty()) {
    const auto written = ::write(file, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) fail(path);
    bytes = bytes.subspan(static_cast<std::size_t>(written));
  }
}

// Closes a descriptor unless it is taken out.
struct Descriptor {
  explicit Descriptor(int opened) : number(opened) {}
  ~Descriptor() {
    if (number >= 0) ::close(number);
  }
  Descriptor(Descriptor&& other) noexcept : number(std::exchange(other.number, -1)) {}
  int number;
};

Descriptor write_temporary(const std::string& path, BytesView content) {
  ::unlink(path.c_str());  // left by a kill
  Descriptor file(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (file.number < 0) fail(path);
  write_all(file.number, content, path);
  if (::fsync(file.number) != 0) fail(path);
  return file;
}

struct Content {
  SecretBytes bytes;
  std::string why;  // nothing was read
};

Content read_whole(int file) {
  struct stat status {};
  if (::fstat(file, &status) != 0 || !S_ISREG(status.st_mode)) return {{}, "not a file"};
  if (status.st_uid != ::geteuid()) return {{}, "belongs to another user"};
  if ((status.st_mode & 077) != 0) return {{}, "others may read or write it: chmod 600"};
  const auto size = static_cast<std::size_t>(status.st_size);
  if (size == 0) return {{}, "empty"};
  if (size > max_cache_file_size) return {{}, "too large"};
  SecretBytes bytes(size);
  std::size_t got = 0;
  while (got < size) {
    const auto part = ::read(file, bytes.fill().data() + got, size - got);
    if (part < 0 && errno == EINTR) continue;
    if (part <= 0) return {{}, "torn"};
    got += static_cast<std::size_t>(part);
  }
  return {std::move(bytes), ""};
}

}  // namespace

tl::expected<std::vector<CachedSession>, std::string> parse_session_cache(BytesView bytes,
                                                                          sys_seconds now) {
  const auto wrong = [](const char* why) { return tl::unexpected(std::string(why)); };
  const auto head = magic().size() + 1;
  if (bytes.size() < magic().size() || as_text(bytes.first(magic().size())) != magic()) {
    return wrong("not a session cache");
  }
  if (bytes.size() < head + digest_size) return wrong("torn");
  const auto body = bytes.first(bytes.size() - digest_size);
  if (bytes[head - 1] != std::byte{version}) return wrong("of another version");
  if (!std::ranges::equal(crypto::sha256(body), bytes.last(digest_size))) return wrong("torn");
  auto sessions = take_sessions(body.subspan(head), now);
  if (!sessions) return wrong("malformed");
  return unwrap(sessions);
}

SecretBytes write_session_cache(const SessionCache& cache, sys_seconds now) {
  // Written while the cache is visited: sessions may change once its locks are let go.
  Growing sessions, der;
  const std::size_t head = magic().size() + 1 + 4;
  std::uint32_t count = 0;
  cache.each([&](std::string_view partition, std::string_view pool, const Session& session) {
    if (session.expires <= now || count >= most_sessions || session.alpn.size() > 255) return;
    if (!put_der(der, session.session.get())) return;
    const auto size = size_of(partition, pool, session, der.view().size());
    if (head + sessions.view().size() + size + digest_size > max_cache_file_size) return;
    wire::Writer writer(sessions.more(size));
    put_session(writer, partition, pool, session, der.view());
    ++count;
  });
  SecretBytes file(head + sessions.view().size() + digest_size);
  wire::Writer writer(file.fill());
  writer.bytes(as_bytes(magic())).integer(version).integer(count).bytes(sessions.view());
  writer.bytes(crypto::sha256(file.expose().first(writer.written())));
  return file;
}

CacheFile::~CacheFile() { disown(); }

bool CacheFile::lock() {
  const auto path = path_ + ".lock";
  lock_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (lock_ < 0) return false;
  if (::flock(lock_, LOCK_EX | LOCK_NB) == 0) return true;
  ::close(std::exchange(lock_, -1));
  errno = EWOULDBLOCK;
  return false;
}

std::string CacheFile::load(sys_seconds now, const std::function<void(CachedSession&&)>& take) {
  if (path_.empty()) return "";
  const std::lock_guard guard(mutex_);
  if (!lock()) {
    return errno == EWOULDBLOCK
               ? "in use by another process; sessions stay in memory"
               : std::generic_category().message(errno) + "; sessions stay in memory";
  }
  file_ = ::open(path_.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  if (file_ < 0) {
    return errno == ENOENT ? "" : std::generic_category().message(errno) + "; ignored";
  }
  const auto content = read_whole(file_);
  if (!content.why.empty()) return content.why + "; ignored";
  auto sessions = parse_session_cache(content.bytes.expose(), now);
  if (!sessions) return sessions.error() + "; ignored";
  stands_ = true;
  for (auto& session : *sessions) take(std::move(session));
  return "";
}

void CacheFile::save(sys_seconds now, const SessionCache& cache) {
  const std::lock_guard guard(mutex_);
  if (lock_ < 0) return;
  // From here on a session that is offered spoils the file, whether it got into it or not.
  const bool stood = stands_.exchange(true);
  const auto temporary = path_ + ".new";
  try {
    const auto content = write_session_cache(cache, now);
    auto written = write_temporary(temporary, content.expose());
    const std::lock_guard standing(standing_);
    if (!stands_) {  // spoilt meanwhile
      ::unlink(temporary.c_str());
      return;
    }
    if (::rename(temporary.c_str(), path_.c_str()) != 0) fail(path_);
    std::swap(file_, written.number);
  } catch (...) {
    ::unlink(temporary.c_str());
    const std::lock_guard standing(standing_);
    stands_ = stands_ && stood;
    throw;
  }
}

// Called with a lock of the cache's, which save() waits for: so takes none that save() holds
// while it waits.
bool CacheFile::spoil() {
  if (!stands_.load(std::memory_order_relaxed)) return true;
  const std::lock_guard standing(standing_);
  // who may not remove it any more, having dropped privileges, may still empty it
  const bool gone =
      ::unlink(path_.c_str()) == 0 || errno == ENOENT || (file_ >= 0 && ::ftruncate(file_, 0) == 0);
  if (gone) stands_ = false;
  return gone;
}

void CacheFile::close_file() {
  if (file_ >= 0) ::close(std::exchange(file_, -1));
}

// Of mutexes nothing is known: a thread that the child has not may hold them.
void CacheFile::disown() {
  close_file();
  if (lock_ >= 0) ::close(std::exchange(lock_, -1));
}

void CacheFile::release() {
  const std::lock_guard guard(mutex_);
  stands_ = false;                          // it is the next one's now
  if (lock_ >= 0) ::flock(lock_, LOCK_UN);  // of copies in children, too
  disown();
}

}  // namespace ticket::client
