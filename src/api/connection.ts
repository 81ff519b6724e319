/** What is known of a connection, found out at its first request and kept on its socket, which nothing outlives. */
import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { plainAddress } from '../authorization/network-rules.ts';
import { longestToken } from '../identity/compact-token.ts';
import type { LastToken } from '../identity/validator.ts';

export interface Connection {
  /**
   * The IP address at the connection's other end, which may be a proxy's (`client-address.ts`); an IPv4 address that came
   * over an IPv6 socket is the IPv4 address that it is.
   */
  readonly peerAddress: string;
  /** The Authorization header that came last with a bearer token, and the token; undefined before the first one. */
  authorization: string | undefined;
  token: string | undefined;
  readonly lastToken: LastToken;
}

const connectionKey = Symbol('connection');

export function connectionOf(request: IncomingMessage): Connection {
  const socket: Socket & { [connectionKey]?: Connection } = request.socket;
  const known = socket[connectionKey];
  if (known !== undefined) return known;
  const connection: Connection = {
    peerAddress: plainAddress(socket.remoteAddress ?? ''),
    authorization: undefined,
    token: undefined,
    lastToken: { token: '', digest: '' },
  };
  socket[connectionKey] = connection;
  return connection;
}

/** The token of the request's Authorization header (RFC 6750 §2.1); undefined if there is none. */
export function bearerToken(request: IncomingMessage, connection: Connection): string | undefined {
  const { authorization } = request.headers;
  if (authorization === undefined) return undefined;
  // A client sends the same header again and again: one comparison instead of taking it apart.
  if (authorization === connection.authorization) return connection.token;
  if (!/^bearer /i.test(authorization)) return undefined;
  const token = authorization.slice('bearer '.length).trim();
  if (token.length <= longestToken) {
    connection.authorization = authorization;
    connection.token = token;
  }
  return token;
}
