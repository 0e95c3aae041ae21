// What makes Chromium speak HTTP/3 to a server with a certificate of its own.

import { createHash } from 'node:crypto';
import { connect } from 'node:tls';

// The hash of the server's public key, as seen over TCP: QUIC has no "whatever certificate", only keys that it is told.
function keyHash({ hostname, port }) {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: hostname, port, rejectUnauthorized: false }, () => {
      const key = socket.getPeerX509Certificate().publicKey.export({ type: 'spki', format: 'der' });
      socket.destroy();
      resolve(createHash('sha256').update(key).digest('base64'));
    });
    socket.setTimeout(25_000, () => socket.destroy(new Error('no TLS handshake within 25 s')));
    socket.on('error', reject);
  });
}

const hashes = {};

// The flags for one protocol of one server; those of a browser that does not look for QUIC otherwise.
export async function protocolFlags(protocol, tls, url) {
  if (protocol === 'h3') {
    const server = new URL(url);
    return [
      '--enable-quic',
      `--origin-to-force-quic-on=${server.host}`,
      `--ignore-certificate-errors-spki-list=${await (hashes[server.host] ??= keyHash(server))}`,
    ];
  }
  return ['--disable-quic', ...(tls && protocol === 'h11' ? ['--disable-http2'] : [])];
}

// What Chromium itself says it spoke (RFC 7301's names), by the names of cases.py.
export const SPOKEN = { h11: 'http/1.1', h2: 'h2', h3: 'h3' };
