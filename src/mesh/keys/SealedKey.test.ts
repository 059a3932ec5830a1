import { describe, expect, it } from "@effect/vitest"
import { Effect, Either } from "effect"
import { generateSigningKey, meshIdOf, signingKeyFromSeed } from "../trust/SigningKey.ts"
import { openRootKey, sealedMesh, sealRootKey } from "./SealedKey.ts"

const key = signingKeyFromSeed(new Uint8Array(32).fill(7))
const passphrase = "correct horse battery"
const cheap = { logN: 10, r: 8, p: 1 }
const codeOf = (text: string, phrase = passphrase) =>
  Effect.map(Effect.either(openRootKey(text, phrase)), (opened) =>
    Either.match(opened, { onLeft: ({ code }) => code, onRight: () => "opened" })
  )

describe("a sealed root key", () => {
  it.effect("opens with its passphrase and no other, and says whose it is", () =>
    Effect.gen(function* () {
      const text = yield* sealRootKey(key, passphrase, cheap)
      expect(text.split("\n").every((line) => line.length <= 64)).toBe(true)
      expect(sealedMesh(text)).toEqual(Either.right(meshIdOf(key.publicKey.raw)))
      const opened = yield* openRootKey(
        `what a mail program puts before\n${text}and behind`,
        passphrase
      )
      expect(opened.raw).toEqual(key.raw)
      expect(yield* codeOf(text, `${passphrase} `)).toBe("wrong_passphrase")
      expect(text).not.toContain(
        Buffer.from(key.raw.subarray(0, 32)).toString("base64").slice(0, 20)
      )
    })
  )

  it.effect("is another text each time, as dear as it should be unless told otherwise", () =>
    Effect.gen(function* () {
      const [one, two] = [
        yield* sealRootKey(key, passphrase),
        yield* sealRootKey(key, passphrase, cheap)
      ]
      expect(one).not.toBe(two)
      expect(yield* codeOf(one)).toBe("opened")
    })
  )

  it.effect("does not open when any bit of it was altered", () =>
    Effect.gen(function* () {
      const text = yield* sealRootKey(key, passphrase, cheap)
      const [head = "", ...rest] = text.split("\n")
      const body = Buffer.from(rest.slice(0, -2).join(""), "base64")
      for (let at = 0; at < body.length; at += 3) {
        const altered = Buffer.from(body)
        altered[at]! ^= 1 << (at % 8)
        const again = `${head}\n${altered.toString("base64")}\n${rest.at(-2)}\n`
        expect(yield* codeOf(again), `byte ${at}`).not.toBe("opened")
      }
    })
  )

  it.effect("is not made with a passphrase that would be found", () =>
    Effect.gen(function* () {
      const refused = yield* Effect.flip(sealRootKey(generateSigningKey(), "short", cheap))
      expect(refused.code).toBe("weak_passphrase")
    })
  )

  it.effect("is told from what is none", () =>
    Effect.gen(function* () {
      expect(yield* codeOf("-----BEGIN PRIVATE KEY-----\nMC4C\n-----END PRIVATE KEY-----\n")).toBe(
        "not_sealed"
      )
      expect(
        yield* codeOf("-----BEGIN SKEIN ROOT KEY-----\n!!\n-----END SKEIN ROOT KEY-----")
      ).toBe("not_sealed")
    })
  )
})
