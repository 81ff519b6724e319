/** How a challenge's answer is put up where the authority looks, and taken away again; one solver per challenge type. */
import type { Clock } from '../core/clock.ts';
import { sha256Base64 } from '../crypto/digests.ts';
import type { ChallengeBoard } from './challenge-store.ts';
import type { Identifier } from './identifiers.ts';

/** An answer: the key authorization of RFC 8555 §8.1 for the token, about a name without its wildcard. */
export interface ChallengeAnswer {
  readonly name: string;
  readonly token: string;
  readonly keyAuthorization: string;
  /** When nobody will ask for it any more, in Unix milliseconds. */
  readonly expires: number;
}

export interface ChallengeSolver {
  readonly type: 'http-01' | 'dns-01';
  /** Seconds from when the answers are up to when the authority is told to look. */
  readonly settle: number;
  /** Why the name cannot be proven by this type; undefined if it can. */
  refusal(identifier: Identifier): string | undefined;
  /** Throws `OrderPostponed` when it cannot be done now; doing it twice is as doing it once. */
  present(answer: ChallengeAnswer): Promise<void>;
  /** Not finding it is no error. */
  remove(answer: ChallengeAnswer): Promise<void>;
}

/** Where TXT records are published, by whatever means. */
export interface DnsPublisher {
  present(record: { readonly fqdn: string; readonly value: string }): Promise<void>;
  remove(record: { readonly fqdn: string; readonly value: string }): Promise<void>;
}

export function http01Solver(clock: Clock, board: Pick<ChallengeBoard, 'put' | 'remove'>): ChallengeSolver {
  return {
    type: 'http-01',
    settle: 0,
    // RFC 8555 §8.3: one host is asked, and a wildcard is none.
    refusal: ({ value }) =>
      value.startsWith('*.')
        ? "A wildcard can be proven by dns-01 only; the setting 'acme.challenge' says http-01."
        : undefined,
    present: ({ token, keyAuthorization, expires }) =>
      board.put({ token, keyAuthorization, expires, now: clock.now() }),
    remove: ({ token }) => board.remove(token),
  };
}

/** `settle`: seconds that the zone's servers need to tell one another. */
export function dns01Solver(publisher: DnsPublisher, settle: number): ChallengeSolver {
  return {
    type: 'dns-01',
    settle,
    // RFC 8738 §7: an address is in no zone.
    refusal: ({ type }) =>
      type === 'ip'
        ? "An IP address can be proven by http-01 only; the setting 'acme.challenge' says dns-01."
        : undefined,
    present: (answer) => publisher.present(txtRecord(answer)),
    remove: (answer) => publisher.remove(txtRecord(answer)),
  };
}

/** RFC 8555 §8.4. */
function txtRecord({ name, keyAuthorization }: ChallengeAnswer): { fqdn: string; value: string } {
  const value = Buffer.from(sha256Base64(keyAuthorization), 'base64').toString('base64url');
  return { fqdn: `_acme-challenge.${name}`, value };
}
