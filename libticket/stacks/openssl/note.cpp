#include "note.hpp"

#include <algorithm>
#include <cstring>
#include <new>
#include <utility>

#include "attachment.hpp"

namespace ticket::openssl {

namespace {

// Spare notes of a thread, so that a busy server allocates none. Plain data: it
// may be asked while the thread ends, when `closed` says that it is over.
struct Spare {
  Note* first = nullptr;
  unsigned count = 0;
  bool closed = false;
};
constexpr unsigned most_spare = 256;
thread_local constinit Spare spare;

// Frees the spare notes when the thread ends.
struct SpareOwner {
  ~SpareOwner() {
    spare.closed = true;
    while (spare.first != nullptr) delete std::exchange(spare.first, spare.first->next);
  }
};

Note* take_note() {
  Note* note = spare.first;
  if (note == nullptr) return new (std::nothrow) Note;
  spare.first = note->next;
  --spare.count;
  note->begin();
  return note;
}

void give_back(Note* note) {
  thread_local SpareOwner owner;
  static_cast<void>(owner);
  if (spare.closed || spare.count == most_spare) {
    delete note;
    return;
  }
  note->next = spare.first;
  spare.first = note;
  ++spare.count;
}

void connection_made(void* parent, void*, CRYPTO_EX_DATA* data, int index, long, void*) {
  SSL_CTX* context = SSL_get_SSL_CTX(static_cast<SSL*>(parent));
  if (context == nullptr || attachment_of(context) == nullptr) return;
  Note* note = take_note();
  if (note == nullptr) return;
  note->first = context;
  if (CRYPTO_set_ex_data(data, index, note) != 1) give_back(note);
}

// SSL_dup makes the copy by SSL_new, so it has a note of its own, and then
// copies ours over it: put the copy's own back.
int connection_copied(CRYPTO_EX_DATA* to, const CRYPTO_EX_DATA*, void** value, int index, long,
                      void*) {
  *value = CRYPTO_get_ex_data(to, index);
  return 1;
}

void connection_freed(void*, void* value, CRYPTO_EX_DATA*, int, long, void*) {
  if (value != nullptr) give_back(static_cast<Note*>(value));
}

int note_index() {
  static const int index =
      SSL_get_ex_new_index(0, nullptr, connection_made, connection_copied, connection_freed);
  return index;
}

}  // namespace

void Note::begin() {
  offer = {};
  sealing = {};
  early = TKT_EARLY_NONE;
  settled = nullptr;
  name.clear();
  cas = {};
  context[0] = '\0';
  random_ = {};
}

Note::Random Note::random_of(const SSL* ssl) {
  Random random{};
  SSL_get_client_random(ssl, random.data(), random.size());
  return random;
}

bool Note::is_of(const SSL* ssl) const { return random_of(ssl) == random_; }

void Note::keep_if_of(const SSL* ssl) {
  const Random random = random_of(ssl);
  if (random == random_) return;
  begin();
  random_ = random;
}

// No name has a NUL.
struct Note::Text {
  explicit Text(const Note& note) {
    auto* end = std::ranges::copy(note.name.view(), bytes.data()).out;
    if (note.cas.asked) {
      *end++ = '\0';
      end = std::ranges::copy(note.cas.digest, end).out;
    }
    size = std::size_t(end - bytes.data());
  }
  // Of a nameless client where no certificate is asked for.
  bool empty() const { return size == 0; }

  std::array<unsigned char, ServerName::longest + 1 + sizeof(ClientCas::Digest)> bytes;
  std::size_t size = 0;
};

bool Note::name_hash(tkt_ring* ring, int context, std::uint32_t epoch,
                     unsigned char hash[8]) const {
  std::memset(hash, 0, 8);
  const Text text(*this);
  return text.empty() ||
         tkt_core_name_hash(ring, context, epoch, text.bytes.data(), text.size, hash) == TKT_OK;
}

bool Note::same_hash() const {
  constexpr unsigned char none[8] = {};
  const auto* hash = offer.attribution.name_hash;
  const Text text(*this);
  if (text.empty()) return std::memcmp(hash, none, sizeof none) == 0;
  return tkt_core_is_name_hash(offer.ring, offer.context, offer.epoch.number, text.bytes.data(),
                               text.size, hash) == 1;
}

bool read_server_name(SSL* ssl, ServerName* name) {
  const unsigned char* bytes = nullptr;
  std::size_t size = 0;
  name->clear();
  if (SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_server_name, &bytes, &size) != 1) return true;
  return parse_server_name(bytes, size, name);
}

Note* note_of(const SSL* ssl) { return static_cast<Note*>(SSL_get_ex_data(ssl, note_index())); }

bool register_notes() { return note_index() >= 0; }

}  // namespace ticket::openssl
