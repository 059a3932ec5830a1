/**
 * Frames that carry no message (RFC 9113 §6.3–6.9): what their bytes say, held to what each may be, and
 * how they are written. What they mean for a session is the session's.
 */
import { Http2Error } from "./Http2Error.ts"
import { ack, FrameType, frame, leastFrameSize, mostWindow, Setting } from "./Http2Frame.ts"

const badSize = (what: string, { length }: Buffer): Http2Error =>
  new Http2Error("h2_frame_size", `${what} of ${length} bytes`)

const onlyOnConnection = (what: string, id: number): void => {
  if (id !== 0) throw new Http2Error("h2_frame_place", `${what} on a stream`)
}

export const readPriority = (id: number, payload: Buffer): void => {
  if (id === 0) throw new Http2Error("h2_frame_place", "a priority on stream 0")
  if (payload.length !== 5) throw badSize("a priority", payload)
}

/** Settings as they came; undefined: the peer has heard ours. */
export const readSettings = (
  flags: number,
  id: number,
  payload: Buffer
): ReadonlyArray<readonly [setting: number, value: number]> | undefined => {
  onlyOnConnection("settings", id)
  if ((flags & ack) !== 0) {
    if (payload.length !== 0) throw badSize("an acknowledgement of settings", payload)
    return undefined
  }
  if (payload.length % 6 !== 0) throw badSize("settings", payload)
  return Array.from({ length: payload.length / 6 }, (_, at) => {
    const [setting, value] = [payload.readUInt16BE(at * 6), payload.readUInt32BE(at * 6 + 2)]
    assertValue(setting, value)
    return [setting, value] as const
  })
}

const assertValue = (setting: number, value: number): void => {
  if (setting === Setting.push && value > 1) {
    throw new Http2Error("h2_settings", `ENABLE_PUSH is ${value}`)
  }
  if (setting === Setting.window && value > mostWindow) {
    throw new Http2Error("h2_window", `a first window of ${value}`)
  }
  if (setting === Setting.frameSize && (value < leastFrameSize || value > 0xff_ffff)) {
    throw new Http2Error("h2_settings", `MAX_FRAME_SIZE is ${value}`)
  }
}

export const readPing = (id: number, payload: Buffer): void => {
  onlyOnConnection("a ping", id)
  if (payload.length !== 8) throw badSize("a ping", payload)
}

/** Bytes that may be sent beside those that could be already. */
export const readWindow = (payload: Buffer): number => {
  if (payload.length !== 4) throw badSize("a window update", payload)
  return payload.readUInt32BE(0) & 0x7fff_ffff
}

/** The code. */
export const readReset = (id: number, payload: Buffer): number => {
  if (payload.length !== 4) throw badSize("a reset", payload)
  if (id === 0) throw new Http2Error("h2_frame_place", "a reset of stream 0")
  return payload.readUInt32BE(0)
}

/** `last`: the last stream that its sender may have looked at. */
export const readGoaway = (
  id: number,
  payload: Buffer
): { readonly last: number; readonly code: number } => {
  onlyOnConnection("a goaway", id)
  if (payload.length < 8) throw badSize("a goaway", payload)
  return { last: payload.readUInt32BE(0) & 0x7fff_ffff, code: payload.readUInt32BE(4) }
}

export const windowFrame = (stream: number, bytes: number): Buffer => {
  const payload = Buffer.allocUnsafe(4)
  payload.writeUInt32BE(bytes, 0)
  return frame(FrameType.window, 0, stream, payload)
}

export const resetFrame = (stream: number, code: number): Buffer => {
  const payload = Buffer.allocUnsafe(4)
  payload.writeUInt32BE(code, 0)
  return frame(FrameType.reset, 0, stream, payload)
}

export const goawayFrame = (last: number, code: number, why: string): Buffer => {
  const text = Buffer.from(why.slice(0, 256), "utf8")
  const payload = Buffer.allocUnsafe(8 + text.length)
  payload.writeUInt32BE(last, 0)
  payload.writeUInt32BE(code, 4)
  payload.set(text, 8)
  return frame(FrameType.goaway, 0, 0, payload)
}
