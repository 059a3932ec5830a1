import { expect, it } from "vitest"
import { ProtocolTalk, type Talk } from "./ProtocolTalk.ts"

const line = (text: string): string => `${String.fromCharCode(text.length + 1)}${text}\n`
const greeting = line("/multistream/1.0.0")

const talk = (...pieces: ReadonlyArray<string>): ReadonlyArray<Talk> => {
  const sut = new ProtocolTalk((protocol) => protocol === "/skein/rpc/1")
  return pieces.map((piece) => sut.take(Buffer.from(piece, "latin1")))
}

it("is over when a protocol is agreed on, in one piece, byte by byte, or after others", () => {
  expect(talk(`${greeting}${line("/skein/rpc/1")}`)).toEqual(["agreed"])
  expect(talk(...`${greeting}${line("/skein/rpc/1")}`).at(-1)).toBe("agreed")
  expect(talk(`${greeting}${line("/skein/rpc/2")}`, line("/skein/rpc/1"))).toEqual([
    ...["goes on", "agreed"]
  ])
  // What follows is not looked at.
  expect(talk(`${greeting}${line("/skein/rpc/1")}\0\0\0`, greeting.repeat(100))).toEqual([
    ...["agreed", "agreed"]
  ])
})

it("is no honest peer's when it goes on and on, begins otherwise, or has lengths that no name has", () => {
  for (const words of [
    greeting.repeat(17),
    greeting + line("/other").repeat(16),
    line("/skein/rpc/1"),
    `${greeting}\0`,
    `${greeting}\x80\x01`
  ]) {
    expect([words, talk(words)]).toEqual([words, ["no honest peer's"]])
  }
  expect(talk(...`${greeting}${line("ls").repeat(16)}`).at(-1)).toBe("no honest peer's")
})
