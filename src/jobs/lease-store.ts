/** Port: leases by name. Each take begins a new term, each renewal of the holder's is a beat. */

export interface Lease {
  readonly name: string;
  /** Who holds it, for people; empty for one that was given back. */
  readonly holder: string;
  readonly term: number;
  readonly beat: number;
}

/** A write that counts only while its writer holds a lease: refused once another holds it. */
export interface Fence {
  readonly lease: string;
  readonly term: number;
}

export interface LeaseStore {
  read(name: string): Promise<Lease | undefined>;
  /** Begins a new term if the lease is still as it was seen; undefined if it is not. */
  take(name: string, holder: string, seen: Lease | undefined): Promise<Lease | undefined>;
  /** Answers false when the lease is another's by now. */
  renew(lease: Lease): Promise<boolean>;
  release(lease: Lease): Promise<void>;
}
