/**
 * What the writer process and those that ask it to write say to each other over a socket: frames of a 32-bit length
 * and messages in V8's own form, many in one frame when they come together.
 */
import type { Socket } from 'node:net';
import { deserialize, serialize } from 'node:v8';
import type { Change } from '../core/changes.ts';
import { Failure, type FailureKind } from '../core/errors.ts';
import { StaleRootKey } from '../domain/sealing/sealing-store.ts';
import { StaleVaultKey } from '../domain/versioned/object-store.ts';
import { type Condition, LeaseLost } from './database.ts';

/** Milliseconds between the writer's signs of life. */
export const beatInterval = 100;
/**
 * For how many milliseconds after the writer's last sign of life memory may be used. So long does the writer wait for
 * a process that does not say that it has heard of a change, before the write is answered.
 */
export const freshFor = 500;

export type ToWriter =
  | {
      readonly type: 'write';
      readonly id: number;
      readonly procedure: string;
      readonly input: unknown;
      readonly condition: Condition | undefined;
    }
  | { readonly type: 'heard'; readonly announcement: number };

export type FromWriter =
  | { readonly type: 'written'; readonly id: number; readonly result: unknown }
  | { readonly type: 'refused'; readonly id: number; readonly error: WireError }
  | { readonly type: 'changed'; readonly announcement: number; readonly changes: readonly Change[] }
  | { readonly type: 'beat'; readonly at: number };

export interface WireError {
  readonly name: string;
  readonly message: string;
  readonly kind?: FailureKind;
  readonly retryAfter?: number | undefined;
  readonly cause?: string;
}

const headLength = 4;

/** Sends messages; those of one turn of the event loop go in one frame. */
export interface Sender<M> {
  send(message: M): void;
}

export function createSender<M>(socket: Socket): Sender<M> {
  let waiting: M[] = [];
  const flush = () => {
    const body = serialize(waiting);
    waiting = [];
    const head = Buffer.allocUnsafe(headLength);
    head.writeUInt32BE(body.length);
    socket.cork();
    socket.write(head);
    socket.write(body);
    socket.uncork();
  };
  return {
    send(message) {
      if (waiting.length === 0) setImmediate(flush);
      waiting.push(message);
    },
  };
}

/** Calls `receive` with each message that arrives, in order; destroys the socket at what is no message. */
export function onMessages<M>(socket: Socket, receive: (message: M) => void): void {
  let chunks: Buffer[] = [];
  let length = 0;
  /** How many bytes make it worth while to look: copying at each chunk would cost the square of a frame's length. */
  let wanted = headLength;
  const take = () => {
    let rest = chunks.length === 1 && chunks[0] !== undefined ? chunks[0] : Buffer.concat(chunks, length);
    while (rest.length >= headLength) {
      const end = headLength + rest.readUInt32BE(0);
      if (rest.length < end) break;
      for (const message of deserialize(rest.subarray(headLength, end)) as M[]) receive(message);
      rest = rest.subarray(end);
    }
    chunks = [rest];
    length = rest.length;
    wanted = length < headLength ? headLength : headLength + rest.readUInt32BE(0);
  };
  socket.on('data', (chunk: Buffer) => {
    chunks.push(chunk);
    length += chunk.length;
    if (length < wanted || socket.destroyed) return;
    try {
      take();
    } catch (error) {
      socket.destroy(error as Error);
    }
  });
}

/** An error as it crosses to the process that asked. */
export function toWireError(error: unknown): WireError {
  if (error instanceof Failure) {
    const { kind, message, retryAfter } = error;
    const cause = error.cause === undefined ? {} : { cause: String(error.cause) };
    return { name: 'Failure', message, kind, retryAfter, ...cause };
  }
  if (error instanceof LeaseLost) return { name: error.name, message: error.lease };
  if (error instanceof Error) return { name: error.name, message: error.message };
  return { name: 'Error', message: String(error) };
}

export function fromWireError({ name, message, kind, retryAfter, cause }: WireError): Error {
  if (kind !== undefined) {
    return new Failure(kind, message, {
      ...(cause === undefined ? {} : { cause }),
      ...(retryAfter === undefined ? {} : { retryAfter }),
    });
  }
  switch (name) {
    case 'LeaseLost':
      return new LeaseLost(message);
    case 'StaleRootKey':
      return new StaleRootKey();
    case 'StaleVaultKey':
      return new StaleVaultKey();
    default:
      return new Error(message);
  }
}
