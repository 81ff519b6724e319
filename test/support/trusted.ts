/** The authorities that the clients of this process trust: those of what serves at the moment, and none of the world's. */
import { setDefaultCACertificates } from 'node:tls';

const trusted = new Set<string>();

/** Trusts an authority (PEM), until what is answered is called: one process runs many files of tests. */
export function trust(authority: string): () => void {
  const apply = () => setDefaultCACertificates([...trusted]);
  trusted.add(authority);
  apply();
  return () => {
    trusted.delete(authority);
    apply();
  };
}
