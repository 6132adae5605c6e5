// An Express service traced with jaeger-client. Unsampled with JAEGER_SAMPLER_PARAM=0; debug with a jaeger-debug-id header.
const axios = require("axios");
const express = require("express");
const { initTracerFromEnv } = require("jaeger-client");
const { FORMAT_HTTP_HEADERS, Tags } = require("opentracing");

const { HOST = "127.0.0.1", PORT = "0", NEXT_URL, SERVICE_NAME = "node-jaeger" } = process.env;

const tracer = initTracerFromEnv(
  {
    serviceName: SERVICE_NAME,
    sampler: { type: "const", param: Number(process.env.JAEGER_SAMPLER_PARAM ?? 1) },
    reporter: { flushIntervalMs: 100 },
  },
  { traceId128bit: process.env.TRACE_ID_128BIT === "true" },
);

const app = express();

app.use((request, response, next) => {
  const parent = tracer.extract(FORMAT_HTTP_HEADERS, request.headers);
  const span = tracer.startSpan(request.path, { childOf: parent });
  span.setTag(Tags.SPAN_KIND, Tags.SPAN_KIND_RPC_SERVER);
  span.setTag(Tags.HTTP_METHOD, request.method);
  span.setTag(Tags.HTTP_URL, request.originalUrl);
  span.setTag("tenant", span.getBaggageItem("tenant"));
  request.span = span;
  response.on("finish", () => {
    span.setTag(Tags.HTTP_STATUS_CODE, response.statusCode);
    span.finish();
  });
  next();
});

app.get("/orders/:number", async (request, response) => {
  if (!NEXT_URL) return response.json({ number: request.params.number, from: SERVICE_NAME });
  const url = `${NEXT_URL}/orders/${request.params.number}`;
  const span = tracer.startSpan("call", { childOf: request.span });
  span.setTag(Tags.SPAN_KIND, Tags.SPAN_KIND_RPC_CLIENT);
  span.setTag(Tags.HTTP_URL, url);
  const headers = {};
  tracer.inject(span, FORMAT_HTTP_HEADERS, headers);
  try {
    const answer = await axios.get(url, { headers });
    response.json({ ...answer.data, via: [SERVICE_NAME, ...(answer.data.via ?? [])] });
  } catch (error) {
    span.setTag(Tags.ERROR, true);
    span.log({ event: "error", message: error.message });
    response.status(502).json({ error: error.message });
  } finally {
    span.finish();
  }
});

const server = app.listen(Number(PORT), HOST, () => console.log(`http://${HOST}:${server.address().port}`));
process.on("SIGTERM", () => server.close(() => tracer.close(() => process.exit(0))));
