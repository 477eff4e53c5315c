# Serves the files of a folder on a loopback port with whatever the machine has: perl (part of every Debian),
# python3 or busybox.
#   sh serve.sh PORT FOLDER
set -eu
port=$1
cd "$2"
if perl -MIO::Socket::INET -e 1 2>/dev/null; then
    exec perl -MIO::Socket::INET -e '
        my $server = IO::Socket::INET->new(LocalAddr => "127.0.0.1", LocalPort => shift, Listen => 16, ReuseAddr => 1)
            or die "cannot listen: $!\n";
        $SIG{TERM} = sub { exit 0 };
        $SIG{PIPE} = "IGNORE";
        while (my $client = $server->accept) {
            my $request = <$client> // "";
            while (defined(my $line = <$client>)) { last if $line =~ /^\r?\n$/ }
            my ($name) = $request =~ m{^GET /([\w-]+\.html) };
            my ($status, $body) = ("404 Not Found", "no such page\n");
            if (defined $name && open(my $file, "<", $name)) {
                local $/;
                ($status, $body) = ("200 OK", <$file>);
            }
            print $client "HTTP/1.1 $status\r\nContent-Type: text/html\r\nConnection: close\r\n",
                "Content-Length: ", length($body), "\r\n\r\n", $body;
            close $client;
        }' "$port"
elif command -v python3 >/dev/null 2>&1; then
    exec python3 -m http.server --bind 127.0.0.1 "$port"
elif command -v busybox >/dev/null 2>&1; then
    exec busybox httpd -f -p "127.0.0.1:$port"
fi
echo "serve.sh needs perl, python3 or busybox" >&2
exit 1
