import type { IncomingMessage } from 'node:http';
import { describe, expect, it } from 'vitest';
import { bearerToken, connectionOf } from './connection.ts';

/** As much of a request as is read here. */
function requestOn(socket: { remoteAddress?: string }, authorization?: string): IncomingMessage {
  return { socket, headers: { authorization } } as unknown as IncomingMessage;
}

function tokens(...headers: (string | undefined)[]): (string | undefined)[] {
  const socket = { remoteAddress: '192.0.2.1' };
  return headers.map((header) => {
    const request = requestOn(socket, header);
    return bearerToken(request, connectionOf(request));
  });
}

describe('connectionOf', () => {
  it('is one for all requests of a socket, and another for each socket', () => {
    const socket = { remoteAddress: '192.0.2.1' };
    expect(connectionOf(requestOn(socket))).toBe(connectionOf(requestOn(socket)));
    expect(connectionOf(requestOn({ remoteAddress: '192.0.2.1' }))).not.toBe(connectionOf(requestOn(socket)));
  });

  it.each([
    ['192.0.2.1', '192.0.2.1'],
    ['::ffff:192.0.2.1', '192.0.2.1'],
    ['2001:db8::1', '2001:db8::1'],
    [undefined, ''],
  ])('takes the address %s for %s', (remoteAddress, address) => {
    const socket = remoteAddress === undefined ? {} : { remoteAddress };
    expect(connectionOf(requestOn(socket)).peerAddress).toBe(address);
  });
});

describe('bearerToken', () => {
  it('reads the token of each request, whatever came before it on the connection', () => {
    expect(tokens('Bearer a', 'bearer a', 'Bearer b', 'Bearer a', undefined, 'Bearer  c ')).toEqual([
      'a',
      'a',
      'b',
      'a',
      undefined,
      'c',
    ]);
  });

  it('finds none in other schemes and in an empty header, also after a token', () => {
    expect(tokens('', 'Basic a', 'Bearer', 'Bearer a', 'Basic a', '', undefined)).toEqual([
      undefined,
      undefined,
      undefined,
      'a',
      undefined,
      undefined,
      undefined,
    ]);
  });

  it('does not keep a token that nobody would look at, but hands it on to be refused', () => {
    const long = 'x'.repeat(20_000);
    const request = requestOn({}, `Bearer ${long}`);
    const connection = connectionOf(request);
    expect(bearerToken(request, connection)).toBe(long);
    expect(connection.token).toBeUndefined();
  });
});
