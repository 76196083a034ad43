// OpenSSL's error queue, left alone.
#pragma once

#include <openssl/err.h>

namespace ticket::crypto {

// Leaves OpenSSL's error queue as it was: SSL_get_error would take our failed
// attempts for a failure of its connection.
struct QuietErrors {
  QuietErrors() { ERR_set_mark(); }
  ~QuietErrors() { ERR_pop_to_mark(); }
  QuietErrors(const QuietErrors&) = delete;
};

}  // namespace ticket::crypto
