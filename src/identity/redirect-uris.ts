/** Where a browser may be sent with a code: to addresses that the client has registered, and nowhere else. */

/** Schemes that run or show what they carry, in the browser that is sent there. */
const refusedSchemes = [
  'javascript:',
  'data:',
  'vbscript:',
  'blob:',
  'file:',
  'about:',
  'view-source:',
  'filesystem:',
];
const loopbackHosts = ['localhost', '127.0.0.1', '[::1]'];
const longestUri = 2048;

/**
 * True if the URI is one of those registered, to the letter. On loopback addresses the port does not count
 * (RFC 8252 §7.3), since programs listen on whichever is free.
 */
export function isRegisteredRedirect(uri: string, registered: readonly string[]): boolean {
  if (!isUsableRedirect(uri)) return false;
  const folded = withoutLoopbackPort(uri);
  return registered.some(
    (one) => one === uri || (folded !== undefined && folded === withoutLoopbackPort(one)),
  );
}

/** True for an address that may be registered: HTTPS, HTTP on loopback, or a scheme of a program's own. */
export function isUsableRedirect(uri: string): boolean {
  if (uri.length > longestUri || !/^[!-~]+$/.test(uri) || /[#\\<>"']/.test(uri) || !URL.canParse(uri))
    return false;
  const { protocol, hostname, username, password } = new URL(uri);
  // A host may have signs in it that end a directive of a content security policy.
  if (/[;,']/.test(hostname)) return false;
  if (username !== '' || password !== '' || refusedSchemes.includes(protocol)) return false;
  return protocol !== 'http:' || loopbackHosts.includes(hostname);
}

const loopback = /^(http:\/\/(?:localhost|127\.0\.0\.1|\[::1\]))(?::\d{1,5})?(?=[/?]|$)\/?(.*)$/;

/** The URI without its port; undefined for one that is not, to the letter, HTTP on loopback. */
function withoutLoopbackPort(uri: string): string | undefined {
  const [, host, rest] = loopback.exec(uri) ?? [];
  return host === undefined ? undefined : `${host}/${rest}`;
}
