/** What every nginx of the bench has in common: its workers, no access log, files in a directory. */

/** A worker started by root would be another user, who may not read a temporary directory. */
const user = process.getuid?.() === 0 ? "user root;\n" : ""

/** `http` goes into the http block. */
export const nginxConfig = (directory: string, http: string, workers = 1): string => `daemon off;
${user}pid ${directory}/pid;
error_log ${directory}/error.log;
worker_processes ${workers};
worker_rlimit_nofile 20000;
events { worker_connections 16384; }
http {
  access_log off;
  sendfile on;
  keepalive_requests 100000000;
  keepalive_timeout 1h;
  client_body_temp_path ${directory}/body;
  proxy_temp_path ${directory}/proxy;
  fastcgi_temp_path ${directory}/fastcgi;
  uwsgi_temp_path ${directory}/uwsgi;
  scgi_temp_path ${directory}/scgi;
${http}
}
`
