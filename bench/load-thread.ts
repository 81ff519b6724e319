/** A thread of the load (see load.ts): bytes prepared beforehand where they can be, replies counted by their length. */
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect, type TLSSocket } from 'node:tls';
import { parentPort, workerData } from 'node:worker_threads';
import type { ThreadResult, ThreadTask } from './load.ts';
import { compile } from './requests.ts';

const task = workerData as ThreadTask;
if (parentPort === null) throw new TypeError('this file is for a thread');
const mine = (count: number) => Math.floor((count + task.threads - 1 - task.thread) / task.threads);
const sockets = await Promise.all(Array.from({ length: mine(task.connections) }, (_, index) => open(index)));
parentPort.postMessage('ready');
await once(parentPort, 'message');
parentPort.postMessage(await work());

async function work(): Promise<ThreadResult> {
  const requestOf = compile(task.plan);
  const latencies: number[] = [];
  const most = mine(task.most);
  let sent = 0;
  const started = performance.now();
  const end = started + task.seconds * 1000;
  const keepBusy = async (socket: TLSSocket) => {
    const replies = readReplies(socket);
    while (sent < most && performance.now() < end) {
      const bytes = requestOf(task.thread + task.threads * sent);
      sent += 1;
      const before = performance.now();
      socket.write(bytes);
      await replies.next();
      latencies.push(performance.now() - before);
      if (task.pause !== undefined) await sleep(task.pause);
    }
  };
  await Promise.all(sockets.map(keepBusy));
  const elapsed = performance.now() - started;
  for (const socket of sockets) socket.destroy();
  return { latencies: Float64Array.from(latencies), elapsed };
}

function open(index: number): Promise<TLSSocket> {
  const { ports, servername, ca } = task;
  const port = ports[(task.thread + index) % ports.length] ?? 0;
  return new Promise((resolve, reject) => {
    const socket = connect({ host: '127.0.0.1', port, servername, ca });
    socket.setNoDelay(true);
    socket.once('error', reject);
    socket.once('secureConnect', () => resolve(socket));
  });
}

interface Replies {
  /** Resolves when the next whole reply has arrived. */
  next(): Promise<void>;
}

function readReplies(socket: TLSSocket): Replies {
  let pending: Buffer = Buffer.alloc(0);
  let resolve: (() => void) | undefined;
  let reject: ((error: Error) => void) | undefined;
  socket.on('data', (chunk: Buffer) => {
    pending = pending.length === 0 ? chunk : Buffer.concat([pending, chunk]);
    const headEnd = pending.indexOf('\r\n\r\n');
    if (headEnd < 0) return;
    const head = pending.toString('latin1', 0, headEnd);
    if (!head.startsWith('HTTP/1.1 20')) {
      reject?.(new Error(`the server answered:\n${pending.toString('utf8')}`));
      return;
    }
    const length = Number(/\r\ncontent-length: (\d+)/i.exec(head)?.[1] ?? 0);
    if (pending.length < headEnd + 4 + length) return;
    pending = pending.subarray(headEnd + 4 + length);
    resolve?.();
  });
  socket.on('error', (error) => reject?.(error));
  socket.on('close', () => reject?.(new Error('the server closed the connection')));
  return {
    next: () =>
      new Promise<void>((done, failed) => {
        resolve = done;
        reject = failed;
      }),
  };
}
