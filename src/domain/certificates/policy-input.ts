/** What the parts of a certificate's policy have in common where they are read: members that may be absent, one refusal. */
import { Failure } from '../../core/errors.ts';

/** A member of a request: null and undefined both mean that it is not given. */
export type Given<T> = T | null | undefined;

/** The refusal of a policy: Azure's text, and after it in words what is wrong. */
export function badPolicy(why: string, cause?: unknown): Failure {
  return new Failure('badParameter', `Property policy has invalid value\r\n${why}`, { cause });
}
