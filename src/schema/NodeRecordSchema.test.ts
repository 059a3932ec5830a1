/** `npm run check:types` is what fails. */
import { expectTypeOf, it } from "vitest"
import type * as Model from "../model/NodeRecord.ts"
import type { EndpointEntry, NodeRecord, Protocol, ServiceEntry } from "./NodeRecordSchema.ts"

it("what is decoded is the model's types, seen from either side", () => {
  expectTypeOf<typeof Protocol.Type>().toEqualTypeOf<Model.Protocol>()
  expectTypeOf<typeof EndpointEntry.Type>().toEqualTypeOf<Model.EndpointEntry>()
  expectTypeOf<typeof ServiceEntry.Type>().toEqualTypeOf<Model.ServiceEntry>()
  expectTypeOf<typeof NodeRecord.Type>().toEqualTypeOf<Model.NodeRecord>()
})
