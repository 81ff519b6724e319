/** Mail addresses: which of them letters are sent to. */

const atom = "[A-Za-z0-9!#$%&'*+\\-/=?^_`{|}~]+";
const label = '[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?';
const dotString = new RegExp(`^${atom}(?:\\.${atom})*$`);
const host = new RegExp(`^(?=.{1,253}$)${label}(?:\\.${label})*$`);

/**
 * Whether a text is a mailbox in RFC 5321's plain form: a dot-string of at most 64 characters at a host name, in ASCII.
 * Quoted local parts are left out: programs disagree about where their addresses end.
 */
export function isMailAddress(text: string): boolean {
  const at = text.lastIndexOf('@');
  const local = text.slice(0, Math.max(at, 0));
  return text.length <= 254 && local.length <= 64 && dotString.test(local) && host.test(text.slice(at + 1));
}
