import { expect, test } from "vitest"
import { ServiceName } from "../model/Names.ts"
import { serviceToTry } from "./NameCheck.ts"

const name = (text: string) => ServiceName.make(text)

test("names are tried with a service that has a port to be called at", () => {
  const ledger = { name: name("ledger"), protocol: "tcp" } as const
  const payments = { name: name("payments"), protocol: "http" } as const
  expect(serviceToTry([ledger, payments])).toBe("payments")
  expect(serviceToTry([ledger, { name: name("pay"), protocol: "grpc" }])).toBe("pay")
  expect(serviceToTry([ledger])).toBeUndefined()
})
