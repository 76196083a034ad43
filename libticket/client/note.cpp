#include "client/note.hpp"

#include <new>

namespace ticket::client {

namespace {

void context_freed(void*, void* value, CRYPTO_EX_DATA*, int, long, void*) {
  delete static_cast<Attachment*>(value);
}

// Of addresses that race the slower one is let go by then; of timeouts few are shorter. At least
// half of it has passed by the clock, whose seconds are whole.
constexpr seconds patience{2};

// A handshake that began and never ended: a timeout of the application's, or its second thought.
void connection_freed(void*, void* value, CRYPTO_EX_DATA*, int, long, void*) {
  const std::unique_ptr<Note> note(static_cast<Note*>(value));
  if (note && note->started) quietly([&] { note->give_up(); });
}

// A copy of a connection, which has its info callback, is prepared on its own account. Without
// memory the copy's own callback is not called.
int connection_copied(CRYPTO_EX_DATA*, const CRYPTO_EX_DATA*, void** value, int, long, void*) {
  const auto* from = static_cast<const Note*>(*value);
  Note* copy = from == nullptr ? nullptr : new (std::nothrow) Note;
  if (copy != nullptr) copy->info = from->info, copy->took_over = from->took_over;
  *value = copy;
  return 1;
}

// A copy of a session is not given.
int not_copied(CRYPTO_EX_DATA*, const CRYPTO_EX_DATA*, void** value, int, long, void*) {
  *value = nullptr;
  return 1;
}

int context_index() {
  static const int index = SSL_CTX_get_ex_new_index(0, nullptr, nullptr, nullptr, context_freed);
  return index;
}

int connection_index() {
  static const int index =
      SSL_get_ex_new_index(0, nullptr, nullptr, connection_copied, connection_freed);
  return index;
}

int session_index() {
  static const int index = SSL_SESSION_get_ex_new_index(0, nullptr, nullptr, not_copied, nullptr);
  return index;
}

}  // namespace

void Note::forget() {
  offer.reset();
  own_lineage.reset();
  server.reset();
  sent = started = ended = resumed = store_to_come = false;
  keeps = true;
}

void Note::end(End how) {
  if (ended || !server) return;
  ended = true;
  resumed = how == End::resumed;
  client->conclude(*server, pool, offer ? &offer->server : nullptr, how);
}

void Note::give_up() {
  if (ended || !server || client->closed()) return;
  end(sent && client->now() - begun >= patience ? End::silent : End::abandoned);
}

Attachment* attachment_of(const SSL_CTX* ctx) {
  return static_cast<Attachment*>(SSL_CTX_get_ex_data(ctx, context_index()));
}

Note* note_of(const SSL* ssl) {
  return static_cast<Note*>(SSL_get_ex_data(ssl, connection_index()));
}

Attachment* make_attachment(SSL_CTX* ctx) {
  if (auto* attachment = attachment_of(ctx)) return attachment;
  auto attachment = std::make_unique<Attachment>();
  if (SSL_CTX_set_ex_data(ctx, context_index(), attachment.get()) != 1) return nullptr;
  return attachment.release();
}

Note* make_note(SSL* ssl) {
  if (auto* note = note_of(ssl)) return note;
  const auto* attachment = attachment_of(SSL_get_SSL_CTX(ssl));
  if (attachment == nullptr) return nullptr;
  auto note = std::make_unique<Note>();
  note->client = attachment->client;
  note->partition = attachment->partition;
  if (SSL_set_ex_data(ssl, connection_index(), note.get()) != 1) return nullptr;
  return note.release();
}

bool mark_given(SSL_SESSION* session) {
  static const char mark = 1;
  return SSL_SESSION_set_ex_data(session, session_index(), const_cast<char*>(&mark)) == 1;
}

bool is_given(const SSL_SESSION* session) {
  return session != nullptr && SSL_SESSION_get_ex_data(session, session_index()) != nullptr;
}

}  // namespace ticket::client
