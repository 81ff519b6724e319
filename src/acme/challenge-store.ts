/** Where answers to http-01 challenges are kept: every process and node that may be asked has to find them. */

/** Times are Unix milliseconds. */
export interface PostedAnswer {
  readonly token: string;
  readonly keyAuthorization: string;
  readonly expires: number;
  readonly now: number;
}

export interface ChallengeBoard {
  /** What is there under the token is replaced, and what has expired by now is forgotten. */
  put(answer: PostedAnswer): Promise<void>;
  /** Not finding it is no error. */
  remove(token: string): Promise<void>;
  /** The key authorization; undefined for an unknown token and one that has expired at `now`. */
  find(token: string, now: number): Promise<string | undefined>;
}
