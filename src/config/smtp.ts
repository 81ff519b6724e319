/** The settings of the mail relay (`smtp`), which a file alone can hold. Without them no mail is sent. */
import { accessSync, constants } from 'node:fs';
import * as v from 'valibot';

/** RFC 8314 §3.3 and RFC 6409 §3.1; between relays without TLS it is RFC 5321's. */
const usualPorts = { none: 25, starttls: 587, tls: 465 } as const;

const readableFile = v.pipe(v.string(), v.check(isReadable, 'It must be a file that can be read.'));

export const smtpSettings = v.pipe(
  v.strictObject({
    host: v.pipe(v.string(), v.regex(/^[A-Za-z0-9._:-]{1,253}$/, 'It must be a host name or an IP address.')),
    /** Default: 587 with STARTTLS, 465 with TLS, 25 with neither. */
    port: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(65535))),
    /** With `starttls` a relay that does not offer it gets nothing. */
    secure: v.optional(v.picklist(['none', 'starttls', 'tls']), 'starttls'),
    /** PEM file: the only authorities that the relay's certificate may be from; default: those of Node.js. */
    ca: v.optional(readableFile),
    user: v.optional(v.pipe(v.string(), v.minLength(1))),
    /** A file whose first line is the user's password. */
    passwordFile: v.optional(readableFile),
    /** The sender's address. */
    from: v.pipe(v.string(), v.email('It must be an address without a name.')),
  }),
  v.check(
    ({ user, passwordFile }) => (user === undefined) === (passwordFile === undefined),
    "'user' and 'passwordFile' go together.",
  ),
  v.check(
    ({ user, secure }) => user === undefined || secure !== 'none',
    'A password is not sent without TLS.',
  ),
  v.transform(({ port, ca, user, passwordFile, ...rest }) => ({
    ...rest,
    ...{ ca, user, passwordFile },
    port: port ?? usualPorts[rest.secure],
  })),
);

export type SmtpSettings = v.InferOutput<typeof smtpSettings>;

function isReadable(path: string): boolean {
  try {
    accessSync(path, constants.R_OK);
    return true;
  } catch {
    return false;
  }
}
