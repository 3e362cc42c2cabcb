"""Hubs on DigitalOcean: droplets, found by their tags; a cloud firewall for each; a reserved IP where one is wanted."""
